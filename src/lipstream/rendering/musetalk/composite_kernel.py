"""The composite of a whole batch in one launch, for GPUs; what it computes is `blended`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from lipstream.rendering.musetalk.device_blend import COLUMNS, NEARLY_255, ONE

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 512  # pixels of one face that one program computes


@triton.jit  # type: ignore[untyped-decorator]
def _taps(
    at: tl.tensor, source: tl.tensor, target: tl.tensor, one: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """See `device_blend._taps`; division here cuts towards zero, so nothing below it is divided."""
    place = tl.maximum((2 * at + 1) * source - target, 0)
    first = place // (2 * target)
    rest = place - first * (2 * target)
    weight = (rest * (2 * one) + 2 * target) // (4 * target)
    return first, tl.minimum(first + 1, source - 1), tl.where(first < source - 1, weight, 0)


@triton.jit  # type: ignore[untyped-decorator]
def _composite(
    pictures: tl.tensor,
    table: tl.tensor,
    out: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    columns: tl.constexpr,
    one: tl.constexpr,
    divisor: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """Program (i, n): pixels i * block and on of the region of face n."""
    face = tl.program_id(1)
    row = table + face * columns
    below = tl.load(row).to(tl.pointer_type(tl.uint8))
    masks = tl.load(row + 1).to(tl.pointer_type(tl.uint8))
    target = out + tl.load(row + 2)
    box_width, box_height = tl.load(row + 3).to(tl.int32), tl.load(row + 4).to(tl.int32)
    left, top = tl.load(row + 5).to(tl.int32), tl.load(row + 6).to(tl.int32)
    region_width, pixels = tl.load(row + 7).to(tl.int32), tl.load(row + 8).to(tl.int32)
    strength = tl.load(row + 9).to(tl.int32).to(tl.float32, bitcast=True)

    pixel = tl.program_id(0) * block + tl.arange(0, block)
    there = pixel < pixels
    y, x = pixel // region_width, pixel % region_width
    x0, x1, across = _taps(left + x, width, box_width, one)
    y0, y1, down = _taps(top + y, height, box_height, one)
    picture = pictures + face.to(tl.int64) * height * width * 3
    weight = tl.load(masks + pixel, mask=there, other=0).to(tl.float32) * strength
    for channel in tl.static_range(3):
        a = tl.load(picture + (y0 * width + x0) * 3 + channel, mask=there, other=0).to(tl.int32)
        b = tl.load(picture + (y0 * width + x1) * 3 + channel, mask=there, other=0).to(tl.int32)
        c = tl.load(picture + (y1 * width + x0) * 3 + channel, mask=there, other=0).to(tl.int32)
        d = tl.load(picture + (y1 * width + x1) * 3 + channel, mask=there, other=0).to(tl.int32)
        upper = (a * (one - across) + b * across) >> 4
        lower = (c * (one - across) + d * across) >> 4
        above = (((upper * (one - down)) >> 16) + ((lower * down) >> 16) + 2) >> 2
        under = tl.load(below + pixel * 3 + channel, mask=there, other=0).to(tl.float32)
        mixed = (above.to(tl.float32) * weight + under * (255.0 - weight)) / divisor
        byte = tl.floor(mixed + 0.5).to(tl.int32).to(tl.uint8)
        tl.store(target + pixel * 3 + channel, byte, mask=there)


def launch(pictures: Tensor, table: Tensor, out: Tensor, largest: int) -> None:
    """Composite (n, height, width, 3) `pictures` by the n rows of `table` into `out`.

    `largest`: pixels of the largest region. All are of one device; returns before it has finished.
    """
    count, height, width, channels = pictures.shape
    assert channels == 3 and pictures.is_contiguous(), pictures.shape
    assert table.shape == (count, COLUMNS) and table.is_contiguous(), table.shape
    if count == 0 or largest == 0:
        return
    grid = (triton.cdiv(largest, BLOCK), count)
    _composite[grid](pictures, table, out, height, width, COLUMNS, ONE, NEARLY_255, BLOCK)
