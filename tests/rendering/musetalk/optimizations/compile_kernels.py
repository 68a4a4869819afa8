"""Compile every kernel for GPUs, without one: finds what the interpreter lets pass.

python -m tests.rendering.musetalk.optimizations.compile_kernels
"""

from __future__ import annotations

from typing import Any

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from lipstream.rendering.musetalk.compositing import blend_triton
from lipstream.rendering.musetalk.optimizations import triton_kernels

CAPABILITIES = (80, 90)
WIDE = [["tt.divisibility", 16]]  # as addresses and numbers of channels are


def kernel_signatures(x: str) -> list[tuple[Any, dict[str, str], dict[str, Any]]]:
    """Kernel, types of its arguments and its constants, for pictures of type `x`."""
    f, i = "*fp32", "i32"
    return [
        (triton_kernels._sum, {"x": x, "sums": f, "rows": i, "channels": i, "span": i}, {}),
        (
            triton_kernels._affine,
            {"x": x, "sums": f, "shift": x, "weight": x, "bias": x, "lines": f}
            | {"rows": i, "channels": i, "per_group": i, "splits": i, "eps": "fp32"},
            {"SHIFTED": True, "WIDTH": 16, "SPLITS": 64},
        ),
        (
            triton_kernels._apply,
            {"x": x, "lines": f, "normed": x, "rows": i, "channels": i},
            {"SILU": True},
        ),
        (
            triton_kernels._add,
            {"one": x, "other": x, "bias": x, "total": x, "rows": i, "channels": i}
            | {"factor": "fp32"},
            {},
        ),
        (triton_kernels._gate, {"x": x, "gated": x, "rows": i, "channels": i}, {}),
        (
            triton_kernels._interleave,
            {"parts": x, "bias": x, "whole": x, "height": i, "width": i, "channels": i},
            {},
        ),
        (
            blend_triton._composite,
            {"pictures": "*u8", "table": "*i64", "out": "*u8", "height": i, "width": i},
            {},
        ),
        (
            blend_triton._composite_i420,
            {"pictures": "*u8", "table": "*i64", "out": "*u8", "height": i, "width": i},
            {},
        ),
    ]


def compiled(kernel: Any, types: dict[str, str], constants: dict[str, Any], capability: int) -> str:
    """The assembly."""
    names = kernel.arg_names
    source = ASTSource(
        fn=kernel,
        signature={name: types.get(name, "constexpr") for name in names},
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={
            (place,): WIDE
            for place, name in enumerate(names)
            if types.get(name, "").startswith("*") or name == "channels"
        },
    )
    return str(compile(source, target=GPUTarget("cuda", capability, 32)).asm["ptx"])


if __name__ == "__main__":
    for capability in CAPABILITIES:
        for kind in ("*fp16", "*bf16", "*fp32"):
            for kernel, types, constants in kernel_signatures(kind):
                text = compiled(kernel, types, constants, capability)
                if kernel in (
                    triton_kernels._apply,
                    triton_kernels._add,
                    triton_kernels._gate,
                    triton_kernels._interleave,
                ):
                    # Pictures are read and written 16 bytes at a time.
                    assert "ld.global.v4.b32" in text and "st.global.v4.b32" in text, kernel
