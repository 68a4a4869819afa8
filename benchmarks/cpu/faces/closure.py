"""Lips that do not meet: teeth, or a lit tongue, between two dark lines.

The mesh reads as closed what is plainly open in a painting, and a smile as parted. Down the middle
of closed lips there is one dark line. Where they are parted something brighter lies between a dark
line under the upper lip and another above the lower one.

An example, in 200ths of the eye distance: an opened portrait has dark lines of strength 2.1 at rows
44 and 56 and a bright one of 0.7 at row 51 between them. 0.7 is a third of 2.1: the lips are apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.cpu.faces.light import LUMA
from benchmarks.cpu.faces.strips import upright
from lipstream.avatar.face import landmarks as lm

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

Profile = NDArray[np.float64]

UNIT = 200  # rows per eye distance
REACH, MIDDLE = 50, 20  # rows above and below the lips, columns to either side of the middle
SMOOTH = 2.0  # rows, standard deviation
UPPER_EDGE, LOWER_EDGE = 0.12, 0.20  # of the lips' height: shadows at their outer edges
CLEAR = 0.25  # of the strongest dark line


def parted(image: Image, points: Floats) -> bool:
    """Tell whether something lies between the lips of a face with (468, 2) landmarks."""
    bend, top, bottom = _profile(image, points)
    height = bottom - top
    first, last = round(top + UPPER_EDGE * height), round(bottom - LOWER_EDGE * height)
    rows = range(max(first, 1), min(last, len(bend) - 1))
    peaks = [row for row in rows if bend[row - 1] <= bend[row] > bend[row + 1]]
    strongest = max((bend[row] for row in peaks), default=0.0)
    dark = [row for row in peaks if bend[row] >= CLEAR * strongest]
    return any(
        float(-bend[above:below].min()) >= CLEAR * strongest
        for above, below in zip(dark, dark[1:], strict=False)
    )


def _profile(image: Image, points: Floats) -> tuple[Profile, float, float]:
    """The darkness of each row against its neighbours, and the rows of the lips' outer edges."""
    matrix = upright(points, UNIT, (MIDDLE, REACH))
    size = (2 * MIDDLE + 1, 2 * REACH + 1)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    strip = cv2.warpAffine(np.ascontiguousarray(image), matrix, size, flags=flags)
    brightness = np.median(strip.astype(np.float32) @ LUMA, axis=1)[:, None]
    smooth = cv2.GaussianBlur(brightness, (1, 13), SMOOTH)[:, 0]
    edges = points[[lm.UPPER_LIP_TOP, lm.LOWER_LIP_BOTTOM], :2] - matrix[:, 2]
    rows = (edges @ np.linalg.inv(matrix[:, :2]).T)[:, 1]
    bend = np.gradient(np.gradient(smooth)).astype(np.float64)
    return bend, float(rows[0]), float(rows[1])
