"""How RGB becomes luma and chroma: the matrices of the standards, and sides that can be halved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lipstream.media.image import Image


@dataclass(frozen=True, slots=True)
class Matrix:
    """Luma 16..235 and chroma 16..240 around 128 of RGB in 0..255."""

    code: int  # of the matrix in ITU-T H.273
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


BT709 = Matrix(1, 0.2126, 0.0722)  # of files
BT601 = Matrix(6, 0.299, 0.114)  # what browsers take live video for when nothing is said
LIMITED = 1  # H.273 and libavcodec alike


def evened(picture: Image) -> Image:
    """(height, width, 3) with even sides, as chroma of half the size needs: an odd one gets its
    last row or column twice.
    """
    height, width = picture.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return picture
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
