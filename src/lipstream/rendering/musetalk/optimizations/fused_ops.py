"""Single passes over pictures (b, channels, h, w) and tokens: by Triton on a GPU, else by torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

try:
    from lipstream.rendering.musetalk.optimizations import triton_kernels

    HAS_TRITON = True
except ImportError:  # Triton comes with torch only on platforms with GPUs
    HAS_TRITON = False

_PRECISIONS = (torch.float16, torch.bfloat16, torch.float32)


def supported(x: Tensor) -> bool:
    """True where a kernel takes such a picture, or such tokens (b, n, width)."""
    layout = torch.channels_last if x.ndim == 4 else torch.contiguous_format
    fits = x.is_contiguous(memory_format=layout)
    return HAS_TRITON and x.is_cuda and fits and x.dtype in _PRECISIONS


def norm(
    x: Tensor,
    shift: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    groups: int,
    eps: float,
    silu: bool,
) -> Tensor:
    """Group norm of `x` + `shift`, then SiLU or nothing; all but `x` are (channels,)."""
    if supported(x):
        return triton_kernels.norm(x, shift, weight, bias, groups, eps, silu)
    if shift is not None:
        x = x + shift[:, None, None]
    normed = F.group_norm(x, groups, weight, bias, eps)
    return F.silu(normed) if silu else normed


def add(one: Tensor, other: Tensor, bias: Tensor, scale: float) -> Tensor:
    """(one + other + bias) / scale, the bias (channels,)"""
    if supported(one) and supported(other):
        return triton_kernels.add(one, other, bias, 1 / scale)
    total = one + (other + bias[:, None, None])
    return total if scale == 1.0 else total / scale


def gate(x: Tensor) -> Tensor:
    """(b, n, 2 width) -> (b, n, width): the first half times the GELU of the second."""
    if supported(x):
        return triton_kernels.gate(x)
    value, weight = x.chunk(2, dim=-1)
    return value * F.gelu(weight)


def interleave(parts: Tensor, bias: Tensor | None) -> Tensor:
    """(b, 4 c, h + 1, w + 1) -> (b, c, 2 h, 2 w): four pixels go where they belong; + bias (c,).

    Channels: of the pixels in even rows and columns, then odd columns, odd rows, both odd; of odd
    rows they are taken a row further down, of odd columns a column further right.
    """
    if bias is not None and supported(parts):
        return triton_kernels.interleave(parts, bias)
    channels, height, width = parts.shape[1] // 4, parts.shape[2] - 1, parts.shape[3] - 1
    last = parts.is_contiguous(memory_format=torch.channels_last)
    whole = torch.empty(
        (len(parts), channels, 2 * height, 2 * width),
        dtype=parts.dtype,
        device=parts.device,
        memory_format=torch.channels_last if last else torch.contiguous_format,
    )
    for place in range(4):
        row, column = divmod(place, 2)
        part = parts[:, place * channels : (place + 1) * channels]
        whole[:, :, row::2, column::2] = part[:, :, row : row + height, column : column + width]
    return whole if bias is None else whole + bias[:, None, None]
