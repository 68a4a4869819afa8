"""The light of a picture, and whether the inside of its mouth stands in it.

The eye white is read beside the iris, where nothing else is white: the 90th percentile there, of
the brighter eye. Eyes in the shadow of the brow have none that says anything of the teeth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.face import landmarks as lm

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of BT.601
SKIN = (*lm.CHEEKS, 151, 101, 330)  # cheeks and forehead
IRIS = 0.17  # eye widths to either side of the eye's middle that may be iris
ENLARGED = 240  # pixels of an eye's width at which it is looked at
BRIGHT = 90  # percentile
SHADOWED = 0.70  # of the skin's luminance: a darker eye white lies in shadow
OPAQUE = 230  # of 255: a pixel that shows nothing but the mouth's inside
MIN_INSIDE = 12  # such pixels; with fewer there is nothing to judge
WHITEST = 95  # percentile of the inside: the teeth, where some are seen


@dataclass(frozen=True, slots=True)
class Light:
    """The light that a picture shows; all 0 to 255."""

    skin: float  # luminance
    skin_chroma: float  # largest minus smallest of red, green, blue
    eye_white: float | None  # luminance; None where none was measured

    @property
    def brightest_tooth(self) -> float:
        """The luminance that teeth may have in this picture."""
        return 1.25 * self.skin if self.eye_white is None else 1.1 * self.eye_white


def light_of(image: Image, points: Floats) -> Light:
    """Measure the picture of a face with (468, 2) landmarks."""
    skin = _skin(image, points)
    luminance = float(skin @ LUMA)
    eyes = [white for lids in lm.EYES if (white := _eye_white(image, points, lids)) is not None]
    white = max(eyes, default=0.0)
    measured = white >= SHADOWED * luminance
    return Light(luminance, float(skin.max() - skin.min()), white if measured else None)


def teeth(frame: Image, inside: Image) -> float | None:
    """The luminance of the brightest twentieth of the mouth's inside; None where it is shut."""
    found = _opaque(frame, inside)
    return None if found is None else float(np.percentile(found @ LUMA, WHITEST))


def chroma(frame: Image, inside: Image) -> float | None:
    """The chroma, 0 to 255, that only a twentieth of the mouth's inside exceeds."""
    found = _opaque(frame, inside)
    return None if found is None else float(np.percentile(np.ptp(found, axis=1), WHITEST))


def tint(frame: Image, inside: Image) -> float | None:
    """The mean chroma, 0 to 255, of the brightest tenth of the mouth's inside: of the teeth."""
    found = _opaque(frame, inside)
    if found is None:
        return None
    bright = found @ LUMA >= np.percentile(found @ LUMA, 90)
    return float(np.ptp(found[bright], axis=1).mean())


def _opaque(frame: Image, inside: Image) -> Floats | None:
    """(n, 3) the pixels that show nothing but the inside."""
    chosen = inside >= OPAQUE
    return frame[chosen].astype(np.float32) if int(chosen.sum()) >= MIN_INSIDE else None


def _skin(image: Image, points: Floats) -> NDArray[np.float32]:
    """(3,) the median colour of cheeks and forehead."""
    reach = max(1, round(0.03 * lm.eye_distance(points)))
    patches = []
    for x, y in np.round(points[list(SKIN), :2]).astype(int):
        patch = image[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        if patch.size:
            patches.append(patch.reshape(-1, 3).mean(0))
    return np.asarray(np.median(patches, axis=0), np.float32)


def _eye_white(image: Image, points: Floats, lids: tuple[tuple[int, ...], ...]) -> float | None:
    """The luminance beside the iris; None for an eye that is shut or outside of the picture."""
    upper, lower = lids
    outline = np.concatenate([points[list(upper), :2], points[list(lower), :2][::-1]])
    ends = points[upper[0], :2], points[upper[-1], :2]
    width = float(np.linalg.norm(ends[1] - ends[0]))
    zoom = ENLARGED / max(width, 1.0)
    left, top = np.floor(outline.min(0) - 2).astype(int)
    right, bottom = np.ceil(outline.max(0) + 3).astype(int)
    if left < 0 or top < 0 or right > image.shape[1] or bottom > image.shape[0]:
        return None
    large = cv2.resize(
        image[top:bottom, left:right], None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC
    )
    corner = np.array([left, top])
    mask = np.zeros(large.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round((outline - corner + 0.5) * zoom).astype(np.int32)], (1,))
    # The lids' edges and lashes are left out.
    mask = np.asarray(cv2.erode(mask, np.ones((3, 3), np.uint8), iterations=5), np.uint8)
    rows, columns = np.nonzero(mask)
    at = np.stack([columns, rows], axis=1) / zoom + corner - outline.mean(0)
    beside = np.abs(at @ (ends[1] - ends[0])) / width**2 > IRIS
    if int(beside.sum()) < ENLARGED:
        return None
    return float(np.percentile(large[rows[beside], columns[beside]] @ LUMA, BRIGHT))
