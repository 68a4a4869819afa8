"""The composite of a whole batch in one launch, for GPUs.

It computes `blend_torch.blended`, and `rgb_to_i420` of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from lipstream.media.i420 import BT601
from lipstream.rendering.musetalk.compositing.fixed_point import COLUMNS, NEARLY_255, ONE

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 512  # pixels of one face that one program computes
QUADS = BLOCK // 4  # the same, as 2x2 pixels
MATRIX = tuple(number for row in BT601.rows for number in row)


@triton.jit  # type: ignore[untyped-decorator]
def _taps(
    at: tl.tensor, source: tl.tensor, target: tl.tensor, one: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """See `blend_torch._taps`; division here cuts towards zero, so nothing below it is divided."""
    place = tl.maximum((2 * at + 1) * source - target, 0)
    first = tl.minimum(place // (2 * target), source - 1)
    rest = place - first * (2 * target)
    weight = (rest * (2 * one) + 2 * target) // (4 * target)
    return first, tl.minimum(first + 1, source - 1), tl.where(first < source - 1, weight, 0)


@triton.jit  # type: ignore[untyped-decorator]
def _face(
    pictures: tl.tensor,
    table: tl.tensor,
    out: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    columns: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor, tl.tensor, tl.tensor, tl.tensor]:
    """Of the program's face: row, generated picture, target; width and pixels of its region."""
    face = tl.program_id(1)
    row = table + face * columns
    picture = pictures + face.to(tl.int64) * height * width * 3
    target = out + tl.load(row + 2)
    return row, picture, target, tl.load(row + 7).to(tl.int32), tl.load(row + 8).to(tl.int32)


@triton.jit  # type: ignore[untyped-decorator]
def _mixed(
    picture: tl.tensor,
    row: tl.tensor,
    x: tl.tensor,
    y: tl.tensor,
    inside: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    channel: tl.constexpr,
    one: tl.constexpr,
    divisor: tl.constexpr,
) -> tl.tensor:
    """One channel, 0..255, of the pixels at (x, y) of the region that `row` describes."""
    below = tl.load(row).to(tl.pointer_type(tl.uint8))
    masks = tl.load(row + 1).to(tl.pointer_type(tl.uint8))
    box_width, box_height = tl.load(row + 3).to(tl.int32), tl.load(row + 4).to(tl.int32)
    left, top = tl.load(row + 5).to(tl.int32), tl.load(row + 6).to(tl.int32)
    weight_scale = tl.load(row + 9).to(tl.int32).to(tl.float32, bitcast=True)

    pixel = y * tl.load(row + 7).to(tl.int32) + x
    x0, x1, across = _taps(left + x, width, box_width, one)
    y0, y1, down = _taps(top + y, height, box_height, one)
    a = tl.load(picture + (y0 * width + x0) * 3 + channel, mask=inside, other=0).to(tl.int32)
    b = tl.load(picture + (y0 * width + x1) * 3 + channel, mask=inside, other=0).to(tl.int32)
    c = tl.load(picture + (y1 * width + x0) * 3 + channel, mask=inside, other=0).to(tl.int32)
    d = tl.load(picture + (y1 * width + x1) * 3 + channel, mask=inside, other=0).to(tl.int32)
    upper = (a * (one - across) + b * across) >> 4
    lower = (c * (one - across) + d * across) >> 4
    above = (((upper * (one - down)) >> 16) + ((lower * down) >> 16) + 2) >> 2
    weight = tl.load(masks + pixel, mask=inside, other=0).to(tl.float32) * weight_scale
    under = tl.load(below + pixel * 3 + channel, mask=inside, other=0).to(tl.float32)
    mixed = (above.to(tl.float32) * weight + under * (255.0 - weight)) / divisor
    return tl.floor(mixed + 0.5).to(tl.int32)


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
    """Program (i, n): RGB of the pixels i * block and on of the region of face n."""
    row, picture, target, across, pixels = _face(pictures, table, out, height, width, columns)
    pixel = tl.program_id(0) * block + tl.arange(0, block)
    x, y, inside = pixel % across, pixel // across, pixel < pixels
    for channel in tl.static_range(3):
        value = _mixed(picture, row, x, y, inside, height, width, channel, one, divisor)
        tl.store(target + pixel * 3 + channel, value.to(tl.uint8), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _weighted(
    red: tl.tensor,
    green: tl.tensor,
    blue: tl.tensor,
    of_red: tl.constexpr,
    of_green: tl.constexpr,
    of_blue: tl.constexpr,
    added: tl.constexpr,
) -> tl.tensor:
    """Luma or a chroma, rounded."""
    return (red * of_red + green * of_green + blue * of_blue + added + 0.5).to(tl.int32)


@triton.jit  # type: ignore[untyped-decorator]
def _composite_i420(
    pictures: tl.tensor,
    table: tl.tensor,
    out: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    columns: tl.constexpr,
    one: tl.constexpr,
    divisor: tl.constexpr,
    matrix: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """Program (i, n): I420 of the 2x2 pixels i * block and on of the region of face n."""
    row, picture, target, across, pixels = _face(pictures, table, out, height, width, columns)
    quad = tl.program_id(0) * block + tl.arange(0, block)
    inside = quad < pixels // 4
    half = tl.maximum(across // 2, 1)  # of an empty region, too
    left, top = quad % half * 2, quad // half * 2
    u, v = tl.zeros((block,), tl.int32), tl.zeros((block,), tl.int32)
    for corner in tl.static_range(4):
        x, y = left + corner % 2, top + corner // 2
        red = _mixed(picture, row, x, y, inside, height, width, 0, one, divisor).to(tl.float32)
        green = _mixed(picture, row, x, y, inside, height, width, 1, one, divisor).to(tl.float32)
        blue = _mixed(picture, row, x, y, inside, height, width, 2, one, divisor).to(tl.float32)
        luma = _weighted(red, green, blue, matrix[0], matrix[1], matrix[2], matrix[3])
        tl.store(target + y * across + x, luma.to(tl.uint8), mask=inside)
        u += _weighted(red, green, blue, matrix[4], matrix[5], matrix[6], matrix[7])
        v += _weighted(red, green, blue, matrix[8], matrix[9], matrix[10], matrix[11])
    chroma = target + pixels + quad
    tl.store(chroma, ((u + 2) // 4).to(tl.uint8), mask=inside)
    tl.store(chroma + pixels // 4, ((v + 2) // 4).to(tl.uint8), mask=inside)


def launch(
    pictures: Tensor, table: Tensor, out: Tensor, largest: int, *, i420: bool = False
) -> None:
    """Composite (n, height, width, 3) `pictures` by the n rows of `table` into `out`.

    `largest`: pixels of the largest region. With `i420` each is written as that, else as RGB. All
    are of one device; returns before it has finished.
    """
    count, height, width, channels = pictures.shape
    assert channels == 3 and pictures.is_contiguous(), pictures.shape
    assert table.shape == (count, COLUMNS) and table.is_contiguous(), table.shape
    if count == 0 or largest == 0:
        return
    grid = (triton.cdiv(largest, BLOCK), count)
    given = (pictures, table, out, height, width, COLUMNS, ONE, NEARLY_255)
    if i420:
        _composite_i420[grid](*given, MATRIX, QUADS)
    else:
        _composite[grid](*given, BLOCK)
