"""The sharpness and the grain of a picture around its mouth.

What is painted is blurred by the one and carries the other, or it looks pasted in.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Box, Floats, Image

# Skin on which grain is measured: cheeks, beside the nose, chin.
GRAIN_POINTS = (*lm.CHEEKS, 199, 175)
GRAIN_REACH = 0.14  # mouth widths from such a point to the sides of its patch
GRAIN_SIGMA = 1.5  # pixels; detail finer than this is grain
MARGIN = 5  # pixels around a patch that its blur reads
MAX_GRAIN = 4.5  # standard deviation; more is freckles, pores or cracks, not grain
EDGE_SHARE = 0.07  # of the pixels around a mouth that are taken for its edges
MIN_BLUR = 0.4  # pixels
MAX_BLUR = 0.10  # mouth widths


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """The sharpness and the grain of one picture."""

    blur: float  # standard deviation of the Gaussian that edges look blurred by, pixels
    grain: Floats  # (height, width, 3) RGB deviations, to be repeated by reflection

    @staticmethod
    def of(image: Image, points: Floats) -> Texture:
        """Measure around the mouth with (468, 2) landmarks `points` in `image`."""
        return Texture(_blur(image, points), _grain(image, points))

    def add_grain(self, painted: Floats) -> Floats:
        """Return `painted` (height, width, 3) with the grain of the picture, less in the dark."""
        height, width = painted.shape[:2]
        rows, columns = (
            np.pad(
                np.arange(side), (0, max(wanted - side, 0)), mode="reflect" if side > 1 else "edge"
            )
            for side, wanted in zip(self.grain.shape[:2], (height, width), strict=True)
        )
        grain = self.grain[rows[:height, None], columns[None, :width]]
        strength = np.clip(0.35 + painted.mean(2, keepdims=True) / 160, 0, 1)
        return np.asarray(painted + grain * strength, np.float32)


def _blur(image: Image, points: Floats) -> float:
    """Estimate how soft the picture's own edges are around the mouth.

    A step blurred by s has a slope proportional to 1 / s; blurred once more by 1 it has 1 / sqrt(s
    * s + 1). The ratio R of both gives s = 1 / sqrt(R * R - 1) (Zhuo and Sim, Defocus map
    estimation from a single image, 2011).
    """
    width = lm.mouth_width(points)
    centre = points[[lm.MOUTH_RIGHT, lm.MOUTH_LEFT], :2].mean(0)
    near = _box((float(centre[0]), float(centre[1])), 0.75 * width, 0.6 * width, image)
    if min(near.width, near.height) < 8:
        return MIN_BLUR
    grey = cv2.cvtColor(image[near.slices], cv2.COLOR_RGB2GRAY).astype(np.float32)
    slope, blurred = (
        _slope(grey),
        _slope(np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0), np.float32)),
    )
    edges = slope >= np.quantile(slope, 1 - EDGE_SHARE)
    ratio = np.maximum(slope[edges] / np.maximum(blurred[edges], 1e-3), 1.01)
    return float(
        np.clip(np.median(1 / np.sqrt(ratio**2 - 1)), MIN_BLUR, max(MAX_BLUR * width, 0.8))
    )


def _slope(grey: Floats) -> Floats:
    return np.asarray(
        np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)), np.float32
    )


def _grain(image: Image, points: Floats) -> Floats:
    """Cut the finest detail out of the piece of skin that has a middling amount of it."""
    reach = max(4.0, GRAIN_REACH * lm.mouth_width(points))
    pieces = []
    for index in GRAIN_POINTS:
        x, y = points[index, :2]
        box = _box((float(x), float(y)), reach + MARGIN, reach + MARGIN, image)
        if min(box.width, box.height) >= 2 * MARGIN + 4:
            skin = image[box.slices].astype(np.float32)
            detail = skin - cv2.GaussianBlur(skin, (0, 0), GRAIN_SIGMA)
            pieces.append(detail[MARGIN:-MARGIN, MARGIN:-MARGIN])
    if not pieces:
        return np.zeros((4, 4, 3), np.float32)
    amounts = [1.48 * float(np.median(np.abs(piece))) for piece in pieces]
    middling = int(np.argsort(amounts)[(len(amounts) - 1) // 2])
    piece, amount = pieces[middling], max(amounts[middling], 0.1)
    # Spots are not grain.
    limited = np.clip(piece, -2.5 * amount, 2.5 * amount) * min(MAX_GRAIN / amount, 1)
    return np.asarray(limited, np.float32)


def _box(centre: tuple[float, float], reach_x: float, reach_y: float, image: Image) -> Box:
    x, y = centre
    box = Box(int(x - reach_x), int(y - reach_y), int(x + reach_x) + 1, int(y + reach_y) + 1)
    return box.clip(image.shape[1], image.shape[0])
