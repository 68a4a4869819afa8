"""`blend_torch.blended`, and `rgb_to_i420` of that, of a whole batch in one launch, for GPUs."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor
from triton.language import tensor

from lipstream.media.i420 import BT601
from lipstream.rendering.musetalk.compositing.fixed_point import COLUMNS, NEARLY_255, ONE

BLOCK = tl.constexpr(512)  # pixels of one face that one program computes
QUADS = tl.constexpr(128)  # the same, as 2x2 pixels
_COLUMNS, _ONE, _DIVISOR = tl.constexpr(COLUMNS), tl.constexpr(ONE), tl.constexpr(NEARLY_255)
# Of luma and both chromas: the weights of red, green and blue, and what is added. One by one, for
# Triton reads no element of a constant tuple before its version 3.4.
_RY, _GY, _BY, _Y, _RU, _GU, _BU, _U, _RV, _GV, _BV, _V = (
    tl.constexpr(number) for row in BT601.rows for number in row
)


@triton.jit  # type: ignore[untyped-decorator]
def _taps(at: tensor, source: tensor, target: tensor) -> tuple[tensor, tensor, tensor]:
    """See `blend_torch._taps`; division here cuts towards zero, so nothing below it is divided."""
    place = tl.maximum((2 * at + 1) * source - target, 0)
    first = tl.minimum(place // (2 * target), source - 1)
    rest = place - first * (2 * target)
    weight = (rest * (2 * _ONE) + 2 * target) // (4 * target)
    return first, tl.minimum(first + 1, source - 1), tl.where(first < source - 1, weight, 0)


@triton.jit  # type: ignore[untyped-decorator]
def _face(
    pictures: tensor, table: tensor, out: tensor, height: tensor, width: tensor
) -> tuple[tensor, tensor, tensor, tensor, tensor]:
    """Of the program's face: row, generated picture, target; width and pixels of its region."""
    face = tl.program_id(1)
    row = table + face * _COLUMNS
    picture = pictures + face.to(tl.int64) * height * width * 3
    target = out + tl.load(row + 2)
    return row, picture, target, tl.load(row + 7).to(tl.int32), tl.load(row + 8).to(tl.int32)


@triton.jit  # type: ignore[untyped-decorator]
def _mixed(
    picture: tensor,
    row: tensor,
    x: tensor,
    y: tensor,
    inside: tensor,
    height: tensor,
    width: tensor,
    channel: tl.constexpr,
) -> tensor:
    """One channel, 0..255, of the pixels at (x, y) of the region that `row` describes."""
    below = tl.load(row).to(tl.pointer_type(tl.uint8))
    masks = tl.load(row + 1).to(tl.pointer_type(tl.uint8))
    box_width, box_height = tl.load(row + 3).to(tl.int32), tl.load(row + 4).to(tl.int32)
    left, top = tl.load(row + 5).to(tl.int32), tl.load(row + 6).to(tl.int32)
    weight_scale = tl.load(row + 9).to(tl.int32).to(tl.float32, bitcast=True)

    pixel = y * tl.load(row + 7).to(tl.int32) + x
    x0, x1, across = _taps(left + x, width, box_width)
    y0, y1, down = _taps(top + y, height, box_height)
    a = tl.load(picture + (y0 * width + x0) * 3 + channel, mask=inside, other=0).to(tl.int32)
    b = tl.load(picture + (y0 * width + x1) * 3 + channel, mask=inside, other=0).to(tl.int32)
    c = tl.load(picture + (y1 * width + x0) * 3 + channel, mask=inside, other=0).to(tl.int32)
    d = tl.load(picture + (y1 * width + x1) * 3 + channel, mask=inside, other=0).to(tl.int32)
    upper = (a * (_ONE - across) + b * across) >> 4
    lower = (c * (_ONE - across) + d * across) >> 4
    above = (((upper * (_ONE - down)) >> 16) + ((lower * down) >> 16) + 2) >> 2
    weight = tl.load(masks + pixel, mask=inside, other=0).to(tl.float32) * weight_scale
    under = tl.load(below + pixel * 3 + channel, mask=inside, other=0).to(tl.float32)
    mixed = (above.to(tl.float32) * weight + under * (255.0 - weight)) / _DIVISOR
    return tl.floor(mixed + 0.5).to(tl.int32)


@triton.jit  # type: ignore[untyped-decorator]
def _composite(pictures: tensor, table: tensor, out: tensor, height: tensor, width: tensor) -> None:
    """Program (i, n): RGB of the pixels i * BLOCK and on of the region of face n."""
    row, picture, target, across, pixels = _face(pictures, table, out, height, width)
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x, y, inside = pixel % across, pixel // across, pixel < pixels
    for channel in tl.static_range(3):
        value = _mixed(picture, row, x, y, inside, height, width, channel)
        tl.store(target + pixel * 3 + channel, value.to(tl.uint8), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _composite_i420(
    pictures: tensor, table: tensor, out: tensor, height: tensor, width: tensor
) -> None:
    """Program (i, n): I420 of the 2x2 pixels i * QUADS and on of the region of face n."""
    row, picture, target, across, pixels = _face(pictures, table, out, height, width)
    quad = tl.program_id(0) * QUADS + tl.arange(0, QUADS)
    inside = quad < pixels // 4
    half = tl.maximum(across // 2, 1)  # of an empty region, too
    left, top = quad % half * 2, quad // half * 2
    u, v = tl.zeros((QUADS,), tl.int32), tl.zeros((QUADS,), tl.int32)
    for corner in tl.static_range(4):
        x, y = left + corner % 2, top + corner // 2
        red = _mixed(picture, row, x, y, inside, height, width, 0).to(tl.float32)
        green = _mixed(picture, row, x, y, inside, height, width, 1).to(tl.float32)
        blue = _mixed(picture, row, x, y, inside, height, width, 2).to(tl.float32)
        luma = (red * _RY + green * _GY + blue * _BY + _Y + 0.5).to(tl.int32)
        tl.store(target + y * across + x, luma.to(tl.uint8), mask=inside)
        u += (red * _RU + green * _GU + blue * _BU + _U + 0.5).to(tl.int32)
        v += (red * _RV + green * _GV + blue * _BV + _V + 0.5).to(tl.int32)
    chroma = target + pixels + quad
    tl.store(chroma, ((u + 2) // 4).to(tl.uint8), mask=inside)
    tl.store(chroma + pixels // 4, ((v + 2) // 4).to(tl.uint8), mask=inside)


def launch(
    pictures: Tensor, table: Tensor, out: Tensor, largest: int, *, i420: bool = False
) -> None:
    """Composite (n, height, width, 3) `pictures` by the n rows of `table` into `out`, RGB or I420.

    `largest`: pixels of the largest region. All are of one device; returns before it has finished.
    """
    count, height, width, channels = pictures.shape
    assert channels == 3 and pictures.is_contiguous(), pictures.shape
    assert table.shape == (count, COLUMNS) and table.is_contiguous(), table.shape
    if count == 0 or largest == 0:
        return
    grid = (triton.cdiv(largest, BLOCK.value), count)
    kernel = _composite_i420 if i420 else _composite
    kernel[grid](pictures, table, out, height, width)
