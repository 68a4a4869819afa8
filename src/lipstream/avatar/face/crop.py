"""A turned square of a picture, sampled without aliasing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.media.image import Floats, Image


@dataclass(frozen=True, slots=True)
class RotatedSquare:
    """A square in a picture: centre and side in pixels, turned clockwise by `angle` radians.

    Pixel centres lie at whole numbers plus one half, so a square of side 4 around (2, 2) covers
    the pixels 0 to 3 exactly. It may reach beyond the picture.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def around(cls, points: Floats, angle: float, margin: float) -> RotatedSquare:
        """The smallest square at `angle` that holds (n, 2) `points`, enlarged `margin` times."""
        turned = points[:, :2] @ _rotation(angle)
        low, high = turned.min(axis=0), turned.max(axis=0)
        centre = _rotation(angle) @ ((low + high) / 2)
        return cls(float(centre[0]), float(centre[1]), float((high - low).max()) * margin, angle)

    def scaled(self, factor: float) -> RotatedSquare:
        """The same square `factor` times as large."""
        return RotatedSquare(self.x, self.y, self.side * factor, self.angle)

    def turned(self, angle: float) -> RotatedSquare:
        """The same square turned clockwise by another `angle` radians."""
        return RotatedSquare(self.x, self.y, self.side, self.angle + angle)

    def points(self, unit: Floats) -> Floats:
        """Positions in the picture of (n, 2) positions given in units of the square, 0 to 1."""
        turned = (unit - 0.5) * self.side @ _rotation(self.angle).T
        return (turned + (self.x, self.y)).astype(np.float32)

    def sample(self, image: Image, pixels: int, border: int) -> Image:
        """The square as (pixels, pixels, 3); outside the picture `border` is a cv2.BORDER_*."""
        height, width = image.shape[:2]
        reach = self.side * (abs(math.cos(self.angle)) + abs(math.sin(self.angle))) / 2 + 2
        left, right = max(0, math.floor(self.x - reach)), min(width, math.ceil(self.x + reach))
        top, bottom = max(0, math.floor(self.y - reach)), min(height, math.ceil(self.y + reach))
        if left >= right or top >= bottom:
            return np.zeros((pixels, pixels, 3), np.uint8)
        part = image[top:bottom, left:right]
        shrink = pixels / self.side
        if shrink < 1:
            # Averaging first keeps fine texture from moving the lips by pixels.
            size = (max(1, round(part.shape[1] * shrink)), max(1, round(part.shape[0] * shrink)))
            part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        step = _rotation(self.angle) * (self.side / pixels)  # picture pixels per sample
        start = np.array([self.x, self.y]) - step @ [pixels / 2, pixels / 2] + step @ [0.5, 0.5]
        matrix = np.column_stack([step, start - (left, top)])
        matrix *= [[part.shape[1] / (right - left)], [part.shape[0] / (bottom - top)]]
        matrix[:, 2] -= 0.5  # cv2 counts from the centre of the first pixel
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        sampled = cv2.warpAffine(part, matrix, (pixels, pixels), flags=flags, borderMode=border)
        return np.asarray(sampled, np.uint8)


def _rotation(angle: float) -> NDArray[np.float64]:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
