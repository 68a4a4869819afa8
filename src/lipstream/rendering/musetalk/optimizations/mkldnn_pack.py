"""Convolutions whose weights are laid out once for oneDNN, instead of at every call.

In bfloat16 on a CPU that takes longer than using them on one small picture. The functions of torch
that do it are not public: without them nothing is prepacked and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_SIDE = 32  # of the pictures that the layout is chosen for; it fits others as well

_reorder: Any = getattr(torch._C._nn, "mkldnn_reorder_conv2d_weight", None)

# Functions of torch.cpu that are not public; each tells of one kind of unit.
UNITS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


class PrepackedConv(nn.Module):
    """A bfloat16 convolution on a CPU. The state dict keeps the weight in its usual form."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        padding: Any = conv.padding
        self.geometry = [list(padding), list(conv.stride), list(conv.dilation), conv.groups]
        picture = [1, conv.in_channels, _SIDE, _SIDE]
        self.prepacked = _reorder(conv.weight.detach().to_mkldnn(), *self.geometry, picture)

    def forward(self, x: Tensor) -> Tensor:
        convolve: Any = torch.ops.mkldnn._convolution_pointwise
        return convolve(x, self.prepacked, self.bias, *self.geometry, "none", [], "")


@torch.no_grad()
def prepack(network: nn.Module) -> bool:
    """Prepack every convolution of `network`, in place and in its own precision.

    False, and nothing done, unless it is bfloat16 on a CPU whose torch can. Convert, move and fold
    it before: afterwards weights may not change.
    """
    weight = next(network.parameters())
    if weight.dtype != torch.bfloat16 or weight.device.type != "cpu" or not can_prepack():
        return False
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Conv2d:
                setattr(parent, name, PrepackedConv(child))
    return True


def can_prepack() -> bool:
    """True where this torch can prepack weights."""
    found = _reorder is not None and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    return found and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def gains_from_bfloat16() -> bool:
    """True where bfloat16 is faster on this CPU: it has units for it, and weights are prepacked.

    Without units oneDNN converts every number: the networks' convolutions took 2.7 to 4.8 times as
    long as in float32 on a CPU that has AVX-512 and VNNI only.
    """
    tests: list[Callable[[], bool] | None] = [getattr(torch.cpu, name, None) for name in UNITS]
    return can_prepack() and any(test is not None and test() for test in tests)
