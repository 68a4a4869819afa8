"""RGB pictures as the planes that video codecs take: luma, then chroma of half the sides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from lipstream.media.image import I420, Box, Floats, Image, Picture


@dataclass(frozen=True, slots=True)
class ColourMatrix:
    """The luma 16..235 and chroma 16..240 around 128 of RGB in 0..255."""

    code: int  # in ITU-T H.273
    red: float  # its share of luma
    blue: float

    @property
    def rows(self) -> tuple[tuple[float, float, float, float], ...]:
        """Y, U and V, each as the weights of red, green and blue and what is added."""
        luma = (self.red, 1 - self.red - self.blue, self.blue)
        to_blue, to_red = 224 / 255 / 2 / (1 - self.blue), 224 / 255 / 2 / (1 - self.red)
        return (
            (luma[0] * 219 / 255, luma[1] * 219 / 255, luma[2] * 219 / 255, 16),
            (-luma[0] * to_blue, -luma[1] * to_blue, (1 - luma[2]) * to_blue, 128),
            ((1 - luma[0]) * to_red, -luma[1] * to_red, -luma[2] * to_red, 128),
        )


BT709 = ColourMatrix(1, 0.2126, 0.0722)  # of files
BT601 = ColourMatrix(6, 0.299, 0.114)  # the one that browsers assume of live video
LIMITED = 1  # the range, in H.273 and libavcodec alike


def pad_to_even(picture: Image) -> Image:
    """(height, width, 3) with even sides: an odd one gets its last row or column twice."""
    height, width = picture.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return picture
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge")


def even_size(picture: Picture) -> tuple[int, int]:
    """Width and height of a picture, RGB or planes, as video codecs take it."""
    height, width = picture.shape[:2]
    if picture.ndim == 2:
        return width, height * 2 // 3
    return width + width % 2, height + height % 2


def to_i420(picture: Image, matrix: ColourMatrix) -> I420:
    """(height, width, 3) RGB with even sides -> (height * 3 / 2, width): Y, then U and V.

    Chroma is the mean of four pixels. A quarter of the time that FFmpeg's scaler takes for it.
    """
    height, width = picture.shape[:2]
    picture = np.ascontiguousarray(picture)  # of a part of a picture OpenCV takes twice the time
    luma, *chroma = cv2.split(cv2.transform(picture, _rows(matrix)))
    result = np.empty((height * 3 // 2, width), np.uint8)
    result[:height] = luma
    for half, plane in zip(_chroma(result), chroma, strict=True):
        half[:] = cv2.resize(plane, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return result


@lru_cache
def _rows(matrix: ColourMatrix) -> Floats:
    return np.array(matrix.rows, np.float32)


def paste_i420(picture: I420, patch: I420, box: Box) -> I420:
    """A copy of `picture` with `patch` in `box`, whose sides lie on even pixels."""
    result = picture.copy()
    _lay(result, patch, box)
    return result


def _lay(picture: I420, patch: I420, box: Box) -> None:
    picture[box.slices] = patch[: patch.shape[0] * 2 // 3]
    rows, columns = Box(box.left // 2, box.top // 2, box.right // 2, box.bottom // 2).slices
    _chroma(picture)[:, rows, columns] = _chroma(patch)


class StillPlanes:
    """A still picture as planes, converted once, of which one box is drawn anew."""

    def __init__(self, picture: Image, box: Box, matrix: ColourMatrix) -> None:
        """`box` lies on even pixels, but for an end at the border of an odd `picture`."""
        self._matrix = matrix
        self._planes = to_i420(pad_to_even(picture), matrix)
        self._box = Box(box.left, box.top, box.right + box.right % 2, box.bottom + box.bottom % 2)

    def part(self, pixels: Image) -> I420:
        """The planes of the box alone, of its (height, width, 3) RGB."""
        return to_i420(pad_to_even(pixels), self._matrix)

    def with_part(self, part: I420) -> I420:
        """The whole planes with those of the box, a copy."""
        return paste_i420(self._planes, part, self._box)

    def draw(self, part: I420) -> I420:
        """Draw those of the box into the whole planes, and return these: no copy."""
        _lay(self._planes, part, self._box)
        return self._planes


def _chroma(picture: I420) -> I420:
    """(2, height / 2, width / 2): U and V, a view."""
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    return picture[height:].reshape(2, height // 2, width // 2)
