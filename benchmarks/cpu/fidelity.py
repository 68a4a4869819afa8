"""Figures of a talking face's pictures, against the portrait they were made from.

All figures are taken with the head held still, so that the portrait is the truth wherever speech
moves nothing. Nothing here knows how the renderer works: the redrawn region is found by looking at
what changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.landmarks import JAW_LINE, NOSE_WINGS
from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Box
from lipstream.score.sharpness import sharpness_ratio

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

MARGIN = 0.5  # mouth widths around jaw and mouth that speech may move
NEIGHBOURHOOD = 0.5  # face heights around the face that count: far background is too easy


@dataclass(frozen=True, slots=True)
class Fidelity:
    """The agreement of frames with their portrait."""

    psnr: float  # dB, outside the zone that speech may move
    border: float  # gradient over the border of the redrawn region over the portrait's, worst frame
    sharpness: float  # of the closed, moving mouth over the portrait's, mean
    redrawn: Box | None  # the pixels that changed in any frame


def judge(
    source: Image, points: Floats, frames: Sequence[Image], shut: Sequence[Image]
) -> Fidelity:
    """Compare `frames` with the portrait `source` whose face has landmarks `points`.

    `shut` are those that show the mouth closed: an open one has teeth and edges that the portrait
    lacks, and would pass for sharp however blurred.
    """
    still = outside_speech(source.shape[:2], points)
    box = redrawn(source, frames)
    own = sharpness_ratio(source, points)
    return Fidelity(
        psnr=psnr(source, frames, still),
        border=1.0 if box is None else max(border_ratio(source, frame, box) for frame in frames),
        sharpness=float(np.mean([sharpness_ratio(frame, points) for frame in shut])) / own,
        redrawn=box,
    )


def outside_speech(shape: tuple[int, int], points: Floats) -> NDArray[np.bool_]:
    """The surroundings of the face without mouth, chin, cheeks and the neck under the chin."""
    width, height = lm.mouth_width(points), lm.face_height(points)
    zone = np.zeros(shape, np.uint8)
    lower_face = points[[*JAW_LINE, *NOSE_WINGS], :2]
    lower_face = lower_face[lower_face[:, 1] > points[lm.NOSE_TIP, 1] - 0.3 * width]
    cv2.fillConvexPoly(zone, cv2.convexHull(lower_face.astype(np.int32)), (1,))
    reach = 2 * round(MARGIN * width) + 1
    zone = np.asarray(
        cv2.dilate(zone, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))), np.uint8
    )
    (x0, y0), (x1, y1) = points[:, :2].min(0), points[:, :2].max(0)
    room = NEIGHBOURHOOD * height
    near = Box(int(x0 - room), int(y0 - room), int(x1 + room), int(y1 + room))
    counted = np.zeros(shape, np.bool_)
    counted[near.clip(shape[1], shape[0]).slices] = True
    return np.asarray(counted & (zone == 0))


def psnr(source: Image, frames: Sequence[Image], where: NDArray[np.bool_]) -> float:
    """Peak signal to noise in dB over the pixels `where` of all frames; at most 99."""
    truth = source[where].astype(np.float64)
    error = float(np.mean([np.mean((frame[where] - truth) ** 2) for frame in frames]))
    return min(99.0, 10 * float(np.log10(255**2 / error))) if error > 0 else 99.0


def redrawn(source: Image, frames: Sequence[Image]) -> Box | None:
    """The smallest box around all pixels that differ from the portrait in any frame."""
    changed = np.zeros(source.shape[:2], np.bool_)
    for frame in frames:
        changed |= (frame != source).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if not len(rows):
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def border_ratio(source: Image, frame: Image, box: Box) -> float:
    """Mean step across the border of `box` in the frame over that in the portrait."""
    steps = [_border_steps(image, box) for image in (frame, source)]
    return float((steps[0].mean() + 1e-6) / (steps[1].mean() + 1e-6)) if len(steps[0]) else 1.0


def _border_steps(image: Image, box: Box) -> NDArray[np.float64]:
    """Absolute differences between neighbours on both sides of the border inside the picture."""
    height, width = image.shape[:2]
    rows, columns = box.slices
    pixels = image.astype(np.float64)
    steps = []
    for x in (box.left, box.right):
        if 0 < x < width:
            steps.append(np.abs(pixels[rows, x] - pixels[rows, x - 1]).ravel())
    for y in (box.top, box.bottom):
        if 0 < y < height:
            steps.append(np.abs(pixels[y, columns] - pixels[y - 1, columns]).ravel())
    return np.concatenate(steps) if steps else np.zeros(0)
