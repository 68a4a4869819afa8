"""The sharpness of the mouth against the rest of the same face.

Sharpness is the share of the finest detail: root mean square of the band between blurs of half a
pixel and one pixel over that of the band between one and two. Contrast cancels: a hard edge and a
hard edge of ten times its height are equally sharp, and a smooth cheek is not "blurred" for having
no edges. The mouth's box is compared with boxes of the same size around both eyes and the nose, of
the same frame. On pictures as they are, the ratio is 0.73 to 1.08 (12 portraits, 5 clips).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Box

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

BLURS = (0.5, 1.0, 2.0)  # standard deviations, pixels
BOX = (0.87, 0.50)  # width and height of the boxes, eye distances
BELOW = 0.07  # eye distances of the mouth's box below the line of the lips: a jaw drops
ABOVE_NOSE = 0.12  # eye distances of the nose's box above its base
MIN_SIDE = 5  # pixels of a box inside the picture; less tells nothing
MIN_DETAIL = 1e-3  # grey levels


def sharpness_ratio(frame: Image, points: Floats) -> float:
    """The mouth's sharpness over that of eyes and nose; 1 where both are alike."""
    grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY).astype(np.float32)
    levels = [cv2.GaussianBlur(grey, (0, 0), blur) for blur in BLURS]
    fine, coarse = (one - other for one, other in zip(levels, levels[1:], strict=False))
    mouth, *around = boxes(points, (grey.shape[0], grey.shape[1]))

    def sharpness(chosen: list[Box]) -> float:
        energies = [
            float(np.sqrt(np.mean([np.mean(band[box.slices] ** 2) for box in chosen])))
            for band in (fine, coarse)
        ]
        return energies[0] / max(energies[1], MIN_DETAIL)

    return sharpness([mouth]) / max(sharpness(around), MIN_DETAIL)


def is_comparable(frame: Image, points: Floats) -> bool:
    """True where the mouth and some of its surroundings are inside the picture."""
    mouth, *around = boxes(points, (frame.shape[0], frame.shape[1]))
    return bool(around) and _is_inside(mouth)


def boxes(points: Floats, shape: tuple[int, int]) -> list[Box]:
    """Boxes of one size: the mouth's, then those of its surroundings inside the picture."""
    eye = lm.eye_distance(points)
    half = np.array(BOX) * eye / 2
    lips = points[[lm.UPPER_LIP_CENTRE, lm.LOWER_LIP_CENTRE], :2].mean(0) + (0, BELOW * eye)
    nose = points[lm.NOSE_BASE, :2] - (0, ABOVE_NOSE * eye)  # clear of the mouth
    middles = [lips, *(points[list(lids[0]), :2].mean(0) for lids in lm.EYES), nose]
    found = []
    for middle in middles:
        (x0, y0), (x1, y1) = middle[:2] - half, middle[:2] + half
        box = Box(int(x0), int(y0), int(x1) + 1, int(y1) + 1).clip(shape[1], shape[0])
        found.append(box)
    return [found[0], *filter(_is_inside, found[1:])]


def _is_inside(box: Box) -> bool:
    """Of a box that was clipped to the picture: enough of it is left."""
    return min(box.width, box.height) >= MIN_SIDE
