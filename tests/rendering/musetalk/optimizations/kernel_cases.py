"""Triton's kernels against torch in double precision; run as a module, in the interpreter.

python -m tests.rendering.musetalk.optimizations.kernel_cases cpu|networks
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

if __name__ == "__main__":
    os.environ["TRITON_INTERPRET"] = "1"  # before the first import of it

import torch
from torch.nn import functional as F

from lipstream.rendering.musetalk.optimizations import fused_ops, triton_kernels
from lipstream.rendering.musetalk.optimizations.options import OptimizationOptions, optimized
from tests.rendering.musetalk.networks import drawn, networks

if TYPE_CHECKING:
    from torch import Tensor

# Batch, channels, height, width; groups.
SMALL = [(2, 12, 3, 5, 4), (1, 72, 9, 8, 4)]
LARGE = [
    (1, 8, 1, 1, 2),
    (3, 320, 32, 32, 32),
    (2, 960, 16, 16, 32),
    (2, 2560, 4, 4, 32),
    (2, 128, 256, 256, 32),
]  # as the published networks have them
LIMITS = {torch.float32: 2e-6, torch.float16: 8e-4, torch.bfloat16: 6e-3}


def check(device: str) -> list[str]:
    """A line for each disagreement."""
    wrong = []
    for dtype, limit in LIMITS.items():
        for name, found, expected in cases(device, dtype):
            away = float((found.double() - expected).norm() / expected.norm())
            if found.dtype != dtype or found.shape != expected.shape or not away < limit:
                wrong.append(f"{name}, {dtype}: {away:.2g}")
            if found.ndim == 4 and not found.is_contiguous(memory_format=torch.channels_last):
                wrong.append(f"{name}, {dtype}: not channels_last")
    return wrong


def cases(device: str, dtype: torch.dtype) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, the result of the kernel and the right one."""

    def made(*shape: int, seed: int, offset: float = 0.0) -> Tensor:
        values = (drawn(*shape, seed=seed) + offset).to(device, dtype)
        last = values.ndim == 4
        return values.contiguous(memory_format=torch.channels_last) if last else values

    for *shape, groups in SMALL + LARGE * (device != "cpu"):
        batch, channels, height, width = shape
        x, other = made(*shape, seed=1, offset=4.0), made(*shape, seed=2)
        shift, weight, bias = (made(channels, seed=seed) for seed in (3, 4, 5))
        affine = weight.double(), bias.double()
        normed = triton_kernels.norm(x, None, weight, bias, groups, 1e-5, silu=False)
        yield f"norm {shape}", normed, F.group_norm(x.double(), groups, *affine, 1e-5)
        moved = x.double() + shift.double()[:, None, None]
        normed = triton_kernels.norm(x, shift, weight, bias, groups, 1e-5, silu=True)
        yield f"moved {shape}", normed, F.silu(F.group_norm(moved, groups, *affine, 1e-5))
        right = (x.double() + other.double() + bias.double()[:, None, None]) * 0.5
        yield f"sum {shape}", triton_kernels.add(x, other, bias, 0.5), right
        tokens = made(batch, height * width, 2 * channels, seed=7) * 2
        value, weight = tokens.double().chunk(2, dim=-1)
        yield f"gate {shape}", triton_kernels.gate(tokens), value * F.gelu(weight)
        parts = made(batch, channels, height + 1, width + 1, seed=6)
        few = bias[: channels // 4]
        right = fused_ops.interleave(parts.double().contiguous(), few.double())
        yield f"interleaving {shape}", triton_kernels.interleave(parts, few), right


@torch.inference_mode()
def check_networks() -> list[str]:
    """All savings together, with the kernels at work, in the interpreter."""
    plain = networks()
    latents, audio = drawn(1, 8, 4, 4, seed=1), drawn(1, 10, 24, seed=2)
    expected = plain.generate(latents, audio)
    on = dict.fromkeys((field.name for field in fields(OptimizationOptions)), True)
    found = optimized(plain, OptimizationOptions(**on | {"prepack": False})).generate(
        latents, audio
    )
    away = float((found - expected).norm() / expected.norm())
    return [] if away < 2e-5 else [f"networks: {away:.2g}"]


def on_a_processor(x: Tensor) -> bool:
    """`fused_ops.supported`, but for the interpreter."""
    layout = torch.channels_last if x.ndim == 4 else torch.contiguous_format
    return x.is_contiguous(memory_format=layout)


if __name__ == "__main__":
    fused_ops.supported = on_a_processor
    lines = check_networks() if sys.argv[1] == "networks" else check(sys.argv[1])
    print(*lines, sep="\n")
    sys.exit(1 if lines else 0)
