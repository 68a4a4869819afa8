"""Follow one person through a clip, and notice where the clip is cut."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lipstream.avatar.face.landmarks import RIGID, eye_distance
from lipstream.avatar.face.smoothing import MAX_GAP

if TYPE_CHECKING:
    from lipstream.avatar.face.finder import Face, FaceFinder
    from lipstream.media.image import Floats, Image

# A cut changes most of the picture, its colours too, and far more than the frames before it did. A
# hand before the face changes only a part; a panning camera changes all but keeps the colours.
# What two shots of one room have in common may hide a cut from this; the jump of the head tells.
CHANGED = 0.06  # of the full range: a cell of the thumbnail differs
CHANGED_SHARE = 0.55
RECOLOURED_SHARE = 0.15
SUDDEN, AT_LEAST = 4.0, 0.03  # mean change against the usual one, and in any case
USUAL_FRAMES = 12
THUMBNAIL = (48, 27)  # pixels
FLAT, USUAL_CONTRAST = 12.0, 0.25  # of 255: noise is not amplified; of 1: what thresholds mean
BINS = 4  # per colour

# A head that jumps so far between two frames, beyond its motion before, was cut. In eye
# distances (about 9 cm): a shaken head reaches 0.3.
JUMP = 0.5
RESIZE = 1.2
BROAD_SEARCH_EVERY = 5  # frames, once a face has been lost for so long
PATIENCE = 25


class ShotDetector:
    """Tells from picture to picture whether a new shot has begun."""

    def __init__(self) -> None:
        self._layout: Floats | None = None
        self._colours: Floats | None = None
        self._usual: deque[float] = deque(maxlen=USUAL_FRAMES)

    def begins_shot(self, image: Image) -> bool:
        """Whether a cut lies between the previous picture and this one; never for the first."""
        layout, colours = _layout(image), _colours(image)
        before, before_colours = self._layout, self._colours
        self._layout, self._colours = layout, colours
        if before is None or before_colours is None:
            return False
        difference = np.abs(layout - before)
        moved = float(difference.mean())
        usual = float(np.median(self._usual)) if self._usual else 0.0
        cut = (
            moved > usual * SUDDEN + AT_LEAST
            and float((difference.max(axis=2) > CHANGED).mean()) > CHANGED_SHARE
            and float(np.abs(colours - before_colours).sum() / 2) > RECOLOURED_SHARE
        )
        if cut:
            self._usual.clear()
        else:
            self._usual.append(moved)
        return cut


class FaceTracker:
    """Finds one person in the first picture and stays with them; the largest face is chosen.

    Nothing recognises people: after a cut or a long absence the largest face is taken again.
    """

    def __init__(self, finder: FaceFinder, smallest: float) -> None:
        """`smallest` is the least eye distance in pixels worth looking for."""
        self.shot = 0
        self._finder = finder
        self._smallest = smallest
        self._watch = ShotDetector()
        self._last: Face | None = None  # where the person was last seen in this shot
        self._motion = np.zeros(2, np.float32)  # pixels per frame, up to the last sighting
        self._absent = 0  # frames since then

    def follow(self, image: Image) -> Face | None:
        """The person in the next picture of the clip; `shot` then tells which shot it is in."""
        if self._watch.begins_shot(image):
            self._next_shot()
        face = self._look(image)
        if face is None:
            self._absent += 1
            return None
        if self._last is not None and self._absent <= MAX_GAP:
            moved = _centre(face) - _centre(self._last)
            steps = self._absent + 1
            if _jumped(self._last, face, self._motion * steps, steps):
                self._next_shot()
            else:
                self._motion = moved / np.float32(steps)
        else:
            self._motion = np.zeros(2, np.float32)
        self._last, self._absent = face, 0
        return face

    def _next_shot(self) -> None:
        self.shot += 1
        self._last, self._absent = None, 0
        self._motion = np.zeros(2, np.float32)

    def _look(self, image: Image) -> Face | None:
        if self._last is not None and self._absent == 0:
            face = self._finder.track(image, self._last)
            if face is not None:
                return face
        if self._absent > PATIENCE and self._absent % BROAD_SEARCH_EVERY:
            return None
        faces = self._finder.find(image, self._smallest)
        if self._last is None or self._absent > MAX_GAP:
            return faces[0] if faces else None
        last = self._last
        same = [face for face in faces if _plausible(last, face, self._absent + 1)]
        if not same:
            # Nobody near: another person, unless the only one there has moved in a cut.
            return faces[0] if len(faces) == 1 and self._absent == 0 else None
        return min(same, key=lambda face: float(np.linalg.norm(_centre(face) - _centre(last))))


def _layout(image: Image) -> Floats:
    """A thumbnail of fixed mean and contrast: a flash or a changed exposure is no cut."""
    small = np.asarray(cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)
    contrast = max(float(small.std()), FLAT)
    return np.asarray((small - small.mean()) * (USUAL_CONTRAST / contrast), np.float32)


def _colours(image: Image) -> Floats:
    """Shares of the joint colour histogram, summing to 1."""
    small = np.asarray(cv2.resize(image, (96, 54), interpolation=cv2.INTER_AREA), np.int64)
    levels = small * BINS // 256
    cells = (levels[..., 0] * BINS + levels[..., 1]) * BINS + levels[..., 2]
    counts = np.bincount(cells.ravel(), minlength=BINS**3)
    return np.asarray(counts / counts.sum(), np.float32)


def _centre(face: Face) -> Floats:
    return np.asarray(face.landmarks[list(RIGID), :2].mean(axis=0), np.float32)


def _jumped(before: Face, after: Face, expected: Floats, steps: int) -> bool:
    """Whether the head moved or grew between two sightings as no head does."""
    unit = eye_distance(before.landmarks)
    surprise = float(np.linalg.norm(_centre(after) - _centre(before) - expected)) / unit
    growth = eye_distance(after.landmarks) / unit
    return surprise > JUMP * steps or not RESIZE**-steps < growth < RESIZE**steps


def _plausible(before: Face, after: Face, steps: int) -> bool:
    """Whether a face found anew can be the person who was lost `steps` frames ago."""
    return not _jumped(before, after, np.zeros(2, np.float32), steps)
