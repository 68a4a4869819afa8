"""The lower face, upright and of one size: from nose to chin, whatever the head does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.cpu.faces.drawn import Part
from lipstream.avatar.face import landmarks as lm
from lipstream.rendering.puppet.warp import compose, similarity

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

UNIT = 100  # pixels of a strip per eye distance
HALF_WIDTH, ABOVE, BELOW = 35, 38, 75  # pixels of a strip beside, above and below the lips
# The lips' outer edges, the points between which they meet, and the chin.
LANDMARKS = (
    *(lm.UPPER_LIP_TOP, lm.LOWER_LIP_BOTTOM),
    *(lm.UPPER_LIP_CENTRE, lm.LOWER_LIP_CENTRE, lm.CHIN),
)
MOUTH, NOSE = (-14, 34), (-85, -40)  # rows from the lips' line

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Strips:
    """The place of the strip in every frame of a part, carried by the head alone."""

    part: Part
    lips: tuple[float, float]  # rows between which the lips of the reference lie, strip pixels
    line: float  # the row of their meeting
    chin: float  # the row of its chin

    @staticmethod
    def of(part: Part) -> Strips:
        """The reference is the avatar's own most closed mouth."""
        points = part.natural_points[0]
        rows = _back(upright(points), points[list(LANDMARKS)])[:, 1]
        line = float(rows[2:4].mean())
        return Strips(part, (float(rows[0]), float(rows[1])), line, float(rows[4]))

    def cut(self, image: Image, points: Floats, rows: tuple[int, int] = (-ABOVE, BELOW)) -> Image:
        """(rows, 2 * HALF_WIDTH, 3) the strip of the face with (468, 2) `points` in `image`.

        `rows` are counted from the reference's lips.
        """
        rigid, canonical = list(lm.RIGID), self.part.natural_points[0]
        head = similarity(
            canonical[rigid, :2].astype(np.float64), points[rigid, :2].astype(np.float64)
        )
        matrix = compose(head, upright(canonical))
        matrix[:, 2] += matrix[:, 1] * (rows[0] + ABOVE)
        # A larger picture is shrunk without aliasing.
        shrink = float(np.linalg.norm(matrix[:, 0]))
        smooth = np.ascontiguousarray(image)
        if shrink > 1.2:
            smooth = np.asarray(cv2.GaussianBlur(smooth, (0, 0), 0.5 * shrink), np.uint8)
        size = (2 * HALF_WIDTH, rows[1] - rows[0])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        border = cv2.BORDER_REPLICATE
        return np.asarray(cv2.warpAffine(smooth, matrix, size, flags=flags, borderMode=border))

    def motion(self, rows: tuple[int, int], sources: bool) -> float:
        """Eye distances by which the strip between `rows` moves per frame, in the mean.

        Over the head's own motion: a mean change of brightness over the mean slope is a distance.
        `sources`: of the avatar's own pictures instead of what was drawn.
        """
        changes: list[float] = []
        slopes: list[float] = []
        before: Matrix | None = None
        for index in self.part.seen():
            image = self.part.source(index) if sources else self.part.frames[index]
            strip = self.cut(image, self.part.points[index], rows).mean(axis=2)
            strip = np.asarray(cv2.GaussianBlur(strip, (0, 0), 1.0), np.float64)
            slopes.append(float(np.hypot(*np.gradient(strip)).mean()))
            if before is not None:
                changes.append(float(np.abs(strip - before).mean()))
            before = strip
        return float(np.mean(changes) / np.mean(slopes) / UNIT) if changes else 0.0


def upright(
    points: Floats, unit: int = UNIT, middle: tuple[int, int] = (HALF_WIDTH, ABOVE)
) -> Matrix:
    """(2, 3) from a picture of the lips, upright, to the one that `points` are in.

    `unit` pixels of it are an eye distance; the lips meet at its pixel `middle`, x and y.
    """
    angle, scale = lm.roll(points), lm.eye_distance(points) / unit
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    lips = points[[lm.UPPER_LIP_CENTRE, lm.LOWER_LIP_CENTRE], :2].astype(np.float64).mean(0)
    return np.hstack([linear, (lips - linear @ middle)[:, None]])


def _back(matrix: Matrix, points: Floats) -> Matrix:
    return np.asarray((points[:, :2] - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T)
