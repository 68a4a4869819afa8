"""Values of the picture side: arrays, boxes, frames with their time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]  # (height, width, 3), RGB
# (height * 3 / 2, width), by BT.601 in limited range: Y, then U and V of half the sides.
I420: TypeAlias = NDArray[np.uint8]
Picture: TypeAlias = Image | I420  # whichever pixel format the backend was opened for
Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels `left <= x < right`, `top <= y < bottom`."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an image: rows, columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def moved(self, x: int, y: int) -> Box:
        """The box shifted right and down."""
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def within(self, frame: Box) -> Box:
        """The same pixels counted from the corner of `frame`."""
        return self.moved(-frame.left, -frame.top)

    def clip_to(self, frame: Box) -> Box:
        """The part of the box inside `frame`."""
        inside = self.within(frame).clip(frame.width, frame.height)
        return inside.moved(frame.left, frame.top)

    def scaled(self, factor: int) -> Box:
        """The same pixels of a picture `factor` times as large."""
        return Box(self.left * factor, self.top * factor, self.right * factor, self.bottom * factor)

    def on_even_pixels(self, width: int, height: int) -> Box:
        """The box as far as even pixels around it, inside a `width` x `height` picture."""
        left, top = self.left // 2 * 2, self.top // 2 * 2
        return Box(left, top, -(-self.right // 2) * 2, -(-self.bottom // 2) * 2).clip(width, height)

    def clip(self, width: int, height: int) -> Box:
        """The part of the box inside a `width` x `height` picture."""
        return Box(
            min(max(self.left, 0), width),
            min(max(self.top, 0), height),
            min(max(self.right, 0), width),
            min(max(self.bottom, 0), height),
        )


@dataclass(frozen=True, slots=True, eq=False)
class TimedFrame:
    """One picture of the talking face and when it is due, counted from the start of the stream."""

    # (height, width, 3) uint8 RGB, or `I420` from a backend opened for that
    frame: Picture = field(repr=False)
    timestamp_ms: int


def paste(picture: Image, patch: Image, box: Box) -> Image:
    """A copy of `picture` with `patch` in `box`; everything outside stays bit for bit."""
    result = picture.copy()
    result[box.slices] = patch
    return result
