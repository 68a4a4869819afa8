"""The colour of the mouth: against the skin around it, and as such.

Generators paint the lower face. One that paints it in another colour leaves skin beside the lips
that differs in hue from the cheeks; light and shade, which differ on every face, are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.score.sharpness import boxes

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

# Skin that is painted with the mouth, and skin that is not: below the corners and beside the lower
# lip; under the eyes and on the bridge of the nose.
PAINTED = (57, 287, 43, 273, 202, 422, 204, 424)
KEPT = (117, 346, 118, 347, 6, 197, 101, 330)
REACH = 0.03  # eye distances to every side of a point


def mouth_tint(image: Image, points: Floats) -> float:
    """The distance in CIELAB's a*b* plane of the skin at the mouth from that of the upper face."""
    painted, kept = (_chroma(image, points, chosen) for chosen in (PAINTED, KEPT))
    return float(np.linalg.norm(painted - kept))


def lip_colour(image: Image, points: Floats) -> Floats:
    """(3,) the mean RGB, 0..255, of the mouth's box."""
    box = boxes(points, (image.shape[0], image.shape[1]))[0]
    return np.asarray(image[box.slices].reshape(-1, 3).mean(axis=0), np.float32)


def _chroma(image: Image, points: Floats, chosen: tuple[int, ...]) -> Floats:
    """(2,) the median a*, b* of patches around points, at the edge for those beyond it."""
    reach = max(1, round(REACH * lm.eye_distance(points)))
    last = (image.shape[1] - 1, image.shape[0] - 1)
    patches = []
    for x, y in np.clip(np.round(points[list(chosen), :2]), 0, last).astype(int):
        patch = image[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        patches.append(patch.reshape(-1, 3).mean(axis=0))
    rgb = np.array([patches], np.float32) / np.float32(255)
    return np.asarray(np.median(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[0, :, 1:], axis=0), np.float32)
