"""Triton kernels for pictures that are laid out pixel by pixel (channels last).

Sums are float32 and always made in the same order: a picture's numbers depend on nothing else in
its batch. Without a GPU they run in Triton's interpreter (TRITON_INTERPRET=1), for tests.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language import tensor

# Of the piece of a picture, pixels by channels, that is read at once.
ROWS, CHANNELS = tl.constexpr(64), tl.constexpr(64)
COLUMNS = tl.constexpr(32)  # of a row of pixels that are put in place at once
_SPLITS = 64  # at most so many parts of one picture are summed beside each other


def norm(
    x: Tensor,
    shift: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    groups: int,
    eps: float,
    silu: bool,
) -> Tensor:
    """See `fused_ops.norm`; `x` is (b, channels, h, w) in channels_last, and so is the result."""
    batch, channels, height, width = x.shape
    rows = height * width
    splits = min(_SPLITS, triton.cdiv(rows, ROWS.value))
    span = triton.cdiv(triton.cdiv(rows, splits), ROWS.value) * ROWS.value
    splits = triton.cdiv(rows, span)
    blocks = triton.cdiv(channels, CHANNELS.value)
    sums = x.new_empty((batch, splits, 2, channels), dtype=torch.float32)
    lines = x.new_empty((batch, 2, channels), dtype=torch.float32)
    normed = torch.empty_like(x)
    with _on(x):
        _sum[(splits, blocks, batch)](x, sums, rows, channels, span)
        _affine[(groups, batch)](
            x,
            sums,
            weight if shift is None else shift,
            weight,
            bias,
            lines,
            rows,
            channels,
            channels // groups,
            splits,
            eps,
            SHIFTED=shift is not None,
            WIDTH=triton.next_power_of_2(channels // groups),
            SPLITS=triton.next_power_of_2(splits),
        )
        grid = (triton.cdiv(rows, ROWS.value), blocks, batch)
        _apply[grid](x, lines, normed, rows, channels, SILU=silu)
    return normed


def add(one: Tensor, other: Tensor, bias: Tensor, factor: float) -> Tensor:
    """(one + other + bias) * factor; (b, channels, h, w) in channels_last, the bias (channels,)"""
    batch, channels, height, width = one.shape
    total, rows = torch.empty_like(one), batch * height * width
    grid = (triton.cdiv(rows, ROWS.value), triton.cdiv(channels, CHANNELS.value))
    with _on(one):
        _add[grid](one, other, bias, total, rows, channels, factor)
    return total


def interleave(parts: Tensor, bias: Tensor) -> Tensor:
    """(b, 4 c, h + 1, w + 1), (c,) -> (b, c, 2 h, 2 w), in channels_last: see `fused_ops`."""
    batch, channels = len(parts), parts.shape[1] // 4
    height, width = 2 * (parts.shape[2] - 1), 2 * (parts.shape[3] - 1)
    whole = torch.empty(
        (batch, channels, height, width),
        dtype=parts.dtype,
        device=parts.device,
        memory_format=torch.channels_last,
    )
    blocks = triton.cdiv(width, COLUMNS.value), triton.cdiv(channels, CHANNELS.value)
    with _on(parts):
        _interleave[(batch * height, *blocks)](parts, bias, whole, height, width, channels)
    return whole


def gate(x: Tensor) -> Tensor:
    """See `fused_ops.gate`."""
    width = x.shape[-1] // 2
    gated = x.new_empty((*x.shape[:-1], width))
    rows = gated.numel() // width
    grid = (triton.cdiv(rows, ROWS.value), triton.cdiv(width, CHANNELS.value))
    with _on(x):
        _gate[grid](x, gated, rows, width)
    return gated


def _on(x: Tensor) -> AbstractContextManager[Any]:
    """Kernels are launched on the current device: make it that of `x`."""
    return torch.cuda.device_of(x)  # type: ignore[no-untyped-call]


@triton.jit  # type: ignore[untyped-decorator]
def _sum(x: tensor, sums: tensor, rows: tensor, channels: tensor, span: tensor) -> None:
    """Of every channel, over `span` pixels: the differences from its first, and their squares.

    From the first pixel and not from nothing: squares of large numbers would lose small ones.
    """
    split, image = tl.program_id(0), tl.program_id(2).to(tl.int64)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < channels
    x += image * rows * channels
    origin = tl.load(x + channel, mask=inside, other=0.0).to(tl.float32)
    total = tl.zeros((CHANNELS,), tl.float32)
    square = tl.zeros((CHANNELS,), tl.float32)
    for start in range(0, span, ROWS):
        row = split * span + start + tl.arange(0, ROWS)
        mask = (row < rows)[:, None] & inside[None, :]
        value = tl.load(x + row[:, None] * channels + channel[None, :], mask=mask, other=0.0)
        apart = tl.where(mask, value.to(tl.float32) - origin[None, :], 0.0)
        total += tl.sum(apart, axis=0)
        square += tl.sum(apart * apart, axis=0)
    sums += (image * tl.num_programs(0) + split) * 2 * channels + channel
    tl.store(sums, total, mask=inside)
    tl.store(sums + channels, square, mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _affine(
    x: tensor,
    sums: tensor,
    shift: tensor,
    weight: tensor,
    bias: tensor,
    lines: tensor,
    rows: tensor,
    channels: tensor,
    per_group: tensor,
    splits: tensor,
    eps: tensor,
    SHIFTED: tl.constexpr,
    WIDTH: tl.constexpr,
    SPLITS: tl.constexpr,
) -> None:
    """Factor and summand of every channel of one group, from the sums of all its parts."""
    image = tl.program_id(1).to(tl.int64)
    place = tl.arange(0, WIDTH)
    inside = place < per_group
    channel = tl.program_id(0) * per_group + place
    split = tl.arange(0, SPLITS)
    mask = (split < splits)[:, None] & inside[None, :]
    sums += image * splits * 2 * channels
    part = split[:, None] * 2 * channels + channel[None, :]
    total = tl.sum(tl.load(sums + part, mask=mask, other=0.0), axis=0)
    square = tl.sum(tl.load(sums + part + channels, mask=mask, other=0.0), axis=0)
    origin = tl.load(x + image * rows * channels + channel, mask=inside, other=0.0)
    mean = origin.to(tl.float32) + total / rows
    moved = tl.zeros((WIDTH,), tl.float32)
    if SHIFTED:
        moved = tl.load(shift + channel, mask=inside, other=0.0).to(tl.float32)
        mean += moved
    middle = tl.sum(mean, axis=0) / per_group
    apart = tl.where(inside, mean - middle, 0.0)
    within = tl.sum(square - total * (total / rows), axis=0) / rows
    variance = (within + tl.sum(apart * apart, axis=0)) / per_group
    factor = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    factor *= 1.0 / tl.sqrt(tl.maximum(variance, 0.0) + eps)
    summand = tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)
    summand += (moved - middle) * factor
    lines += image * 2 * channels + channel
    tl.store(lines, factor, mask=inside)
    tl.store(lines + channels, summand, mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _apply(
    x: tensor, lines: tensor, normed: tensor, rows: tensor, channels: tensor, SILU: tl.constexpr
) -> None:
    """Every number times its channel's factor, and its channel's summand."""
    image = tl.program_id(2).to(tl.int64)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < channels
    lines += image * 2 * channels + channel
    factor = tl.load(lines, mask=inside, other=0.0)
    summand = tl.load(lines + channels, mask=inside, other=0.0)
    place = image * rows * channels + row[:, None] * channels + channel[None, :]
    mask = (row < rows)[:, None] & inside[None, :]
    value = tl.load(x + place, mask=mask, other=0.0).to(tl.float32)
    value = value * factor[None, :] + summand[None, :]
    if SILU:
        value *= tl.sigmoid(value)
    tl.store(normed + place, value.to(normed.dtype.element_ty), mask=mask)


@triton.jit  # type: ignore[untyped-decorator]
def _add(
    one: tensor,
    other: tensor,
    bias: tensor,
    total: tensor,
    rows: tensor,
    channels: tensor,
    factor: tensor,
) -> None:
    """The rows of all pictures are one long list."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < channels
    place = row[:, None] * channels + channel[None, :]
    mask = (row < rows)[:, None] & inside[None, :]
    value = tl.load(one + place, mask=mask, other=0.0).to(tl.float32)
    value += tl.load(other + place, mask=mask, other=0.0).to(tl.float32)
    value += tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)[None, :]
    tl.store(total + place, (value * factor).to(total.dtype.element_ty), mask=mask)


@triton.jit  # type: ignore[untyped-decorator]
def _gate(x: tensor, gated: tensor, rows: tensor, channels: tensor) -> None:
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    mask = (row < rows)[:, None] & (channel < channels)[None, :]
    place = row[:, None] * channels
    source = 2 * place + channel[None, :]
    value = tl.load(x + source, mask=mask, other=0.0).to(tl.float32)
    weight = tl.load(x + source + channels, mask=mask, other=0.0).to(tl.float32)
    value *= 0.5 * weight * (1.0 + tl.erf(weight * 0.7071067811865476))
    tl.store(gated + place + channel[None, :], value.to(gated.dtype.element_ty), mask=mask)


@triton.jit  # type: ignore[untyped-decorator]
def _interleave(
    parts: tensor, bias: tensor, whole: tensor, height: tensor, width: tensor, channels: tensor
) -> None:
    """A piece of one row of the whole; there are `height` rows in each picture."""
    line = tl.program_id(0).to(tl.int64)
    image, row = line // height, line % height
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    channel = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    mask = (column < width)[:, None] & (channel < channels)[None, :]
    above = image * (height // 2 + 1) + row // 2 + row % 2
    pixel = above * (width // 2 + 1) + column // 2 + column % 2
    source = (pixel * 4 + row % 2 * 2 + column % 2) * channels
    value = tl.load(parts + source[:, None] + channel[None, :], mask=mask, other=0.0)
    added = tl.load(bias + channel, mask=channel < channels, other=0.0).to(tl.float32)
    value = value.to(tl.float32) + added[None, :]
    target = (line * width + column) * channels
    tl.store(
        whole + target[:, None] + channel[None, :], value.to(whole.dtype.element_ty), mask=mask
    )
