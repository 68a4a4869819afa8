"""Lines that no mouth has twice: stray dark lines above and below the lips, and lips that are gone.

Down the middle of the lower face the brightness is a profile. A line is where it is darkest against
its neighbours: the second derivative has a peak. A closed mouth has one such line between its lips,
and perhaps a crease in the chin. A line in bare skin that is as strong as a part of the lips' own,
and that neither the picture drawn over nor the clip's own closed mouths have at that place, is a
second mouth, a ring on the chin or a smear. A dropped jaw may carry lines down.

An example, in strip pixels: the lips' line of closed mouths is at row 38 with a peak of 4.2; the
frame has 4.1 at 37 (the lips) and 1.3 at row 65, where source and closed mouths have 0.3 at most.
1.3 less 1.5 * 0.3, over 4.2, is 0.20, above `STRAY`: the frame shows a doubled lip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.cpu.faces.drawn import Part
from benchmarks.cpu.faces.light import LUMA
from benchmarks.cpu.faces.strips import HALF_WIDTH, UNIT, Strips
from lipstream.avatar.face import landmarks as lm

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

Profile = NDArray[np.float32]

MIDDLE = 12  # columns to either side of the strip's middle
SMOOTH = 1.5  # rows, standard deviation
STRAY = 0.19  # of the lips' own line
USUAL = 75  # percentile of closed mouths: a crease that some have is no stray line
SAME = 3  # rows within which a line is the same line
EXPLAINED = 1.5  # times what source or reference have there
LIP_ROOM = 4  # rows around the lips that are theirs
NOSE_ROOM, CHIN_ROOM = 14, 8  # rows next to nose base and chin that have lines of their own
JAW_DROP = 20.0  # rows by which a jaw at 1 may carry skin down
MAX_LIFT = 8  # rows by which closing an open portrait may carry its jaw up
LINE_LOST = 0.30  # of the reference's: the lips' line is gone
SEEN = 60  # of 255: the inside of the mouth is seen in a pixel


@dataclass(frozen=True, slots=True)
class Lines:
    """The figures of one frame."""

    stray: float  # the strongest line that should not be, over the lips' of natural mouths
    own: float  # that of the lips, over the weaker of the natural mouths' and the source's

    @property
    def doubled(self) -> bool:
        return self.stray > STRAY

    @property
    def lost(self) -> bool:
        """The lips are pulled away: nothing is left of the line between them."""
        return self.own < LINE_LOST


class LineFinder:
    """Looks for lines in the frames of one part."""

    def __init__(self, part: Part) -> None:
        self._part, self._strips = part, Strips.of(part)
        known = [
            self._peaks(image, points)
            for image, points in zip(part.natural, part.natural_points, strict=True)
        ]
        self._natural = np.percentile(known, USUAL, axis=0)
        around = round(self._strips.line)
        lips = [float(peaks[around - 5 : around + 6].max()) for peaks in known]
        self._strength = float(np.median(lips))
        # A clip brings closed mouths of its own: nothing of it needs to be carried up.
        points = part.natural_points[0]
        gap = UNIT * lm.mouth_gap(points) / lm.eye_distance(points)
        self._lift = min(round(gap), MAX_LIFT) if len(part.sources) == 1 else 0

    def look(self, index: int, jaw: float) -> Lines:
        """The lines of a frame whose jaw was asked to drop by `jaw`, 0 to 1."""
        points = self._part.points[index]
        frame = self._peaks(self._part.frames[index], points)
        source = self._peaks(self._part.source(index), points)
        top, bottom = self._mouth(index)
        known = np.maximum(np.maximum(source, self._natural), 0)
        drop = round(JAW_DROP * jaw)
        # What lies above may have been carried down, and an open portrait's jaw up.
        side = SAME + max(drop, self._lift)
        reach = np.zeros((2 * side + 1, 1), np.uint8)
        reach[side - SAME - drop : side + SAME + self._lift + 1] = 1
        explained = cv2.dilate(known[:, None], reach)[:, 0]
        stray = frame - EXPLAINED * explained
        first, last = NOSE_ROOM, round(self._strips.chin) - CHIN_ROOM + drop
        skin = np.concatenate([stray[first : max(top, first)], stray[bottom : max(last, bottom)]])
        worst = float(skin.max(initial=0.0))
        lips = slice(max(top, 0), bottom)
        own, theirs = float(frame[lips].max()), float(source[lips].max())
        # What the source's own frame does not have cannot be lost.
        expected = min(self._strength, max(theirs, 1e-6))
        return Lines(worst / self._strength, own / expected)

    def _mouth(self, index: int) -> tuple[int, int]:
        """The rows of the lips and of what is seen between them."""
        top, bottom = self._strips.lips
        inside = np.repeat(self._part.inside[index][..., None], 3, axis=2)
        rows = np.flatnonzero((self._middle(inside, self._part.points[index]) > SEEN).any(axis=1))
        if len(rows):
            top += min(0.0, rows[0] - self._strips.line)
            bottom += max(0.0, rows[-1] - self._strips.line)
        return round(top) - LIP_ROOM, round(bottom) + LIP_ROOM

    def _middle(self, image: Image, points: Floats) -> Profile:
        strip = self._strips.cut(image, points)[:, HALF_WIDTH - MIDDLE : HALF_WIDTH + MIDDLE + 1]
        return np.asarray(strip.astype(np.float32) @ LUMA, np.float32)

    def _peaks(self, image: Image, points: Floats) -> Profile:
        """(rows,) how much darker each row is than its neighbours."""
        profile = np.median(self._middle(image, points), axis=1)
        smooth = cv2.GaussianBlur(profile[:, None], (1, 11), SMOOTH)[:, 0]
        return np.asarray(np.gradient(np.gradient(smooth)), np.float32)
