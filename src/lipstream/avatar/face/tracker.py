"""Track one person through a clip, and detect its cuts."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from lipstream.avatar.face.choice import FaceChoice, choose
from lipstream.avatar.face.finder import Face, FaceFinder
from lipstream.avatar.face.landmarks import RIGID, eye_distance
from lipstream.avatar.face.smoothing import MAX_GAP
from lipstream.media.image import Floats, Image

# A cut changes most of the picture, its colours too, and far more than the frames before it did. A
# hand before the face changes only a part; a panning camera changes all but keeps the colours.
# What two shots of one room have in common may hide a cut from this, not from the tracker.
MIN_CHANGE = 0.06  # of the full range: a cell of the thumbnail differs
MIN_CHANGED_SHARE = 0.55
MIN_RECOLOURED_SHARE = 0.15
SUDDEN, MIN_MEAN_CHANGE = 4.0, 0.03  # against the usual mean change, and in any case
USUAL_FRAMES = 12
THUMBNAIL = (48, 27)  # pixels
FLAT, USUAL_CONTRAST = 12.0, 0.25  # of 255: noise is not amplified; of 1: what thresholds mean
BINS = 4  # per colour

# A head that jumps so far between two frames, beyond its motion before, was cut. In eye
# distances (about 9 cm): a shaken head reaches 0.3.
MAX_JUMP = 0.5
MAX_RESIZE = 1.2
SURE_SCORE = 0.95  # of the mesh; a face that is followed with less is searched for again
SEARCH_EVERY = 5  # frames, once a face has been lost for so long
LONG_ABSENCE = 25


class ShotDetector:
    """Detects cuts between the pictures of a clip."""

    def __init__(self) -> None:
        self._layout: Floats | None = None
        self._colours: Floats | None = None
        self._usual: deque[float] = deque(maxlen=USUAL_FRAMES)

    def is_cut(self, image: Image) -> bool:
        """Tell whether a cut lies between the previous picture and this one."""
        layout, colours = _layout(image), _colours(image)
        before, before_colours = self._layout, self._colours
        self._layout, self._colours = layout, colours
        if before is None or before_colours is None:
            return False
        difference = np.abs(layout - before)
        moved = float(difference.mean())
        usual = float(np.median(self._usual)) if self._usual else 0.0
        cut = (
            moved > usual * SUDDEN + MIN_MEAN_CHANGE
            and float((difference.max(axis=2) > MIN_CHANGE).mean()) > MIN_CHANGED_SHARE
            and float(np.abs(colours - before_colours).sum() / 2) > MIN_RECOLOURED_SHARE
        )
        if cut:
            self._usual.clear()
        else:
            self._usual.append(moved)
        return cut


class FaceTracker:
    """Finds one person in the first picture and stays with them.

    Nothing recognises people: after a cut or a long absence the face is chosen again, and where it
    is not there, the largest is taken.
    """

    def __init__(
        self, finder: FaceFinder, min_eye_distance: float, choice: FaceChoice | None = None
    ) -> None:
        """Faces with a smaller eye distance, in pixels, are not searched for.

        Without a `choice` the largest face is taken.
        """
        self.shot = 0
        self.others: list[Face] = []  # what was found last while the chosen face was not there
        self._finder = finder
        self._min_eye_distance = min_eye_distance
        self._choice = choice
        self._met = choice is None  # the chosen face was seen
        self._shots = ShotDetector()
        self._last: Face | None = None  # where the person was last seen in this shot
        self._motion = np.zeros(2, np.float32)  # pixels per frame, up to the last sighting
        self._absent = 0  # frames since then

    def update(self, image: Image) -> Face | None:
        """The person in the next picture of the clip; `shot` is then the number of its shot."""
        if self._shots.is_cut(image):
            self._next_shot()
        face = self._search(image)
        if face is None:
            self._absent += 1
            return None
        if self._last is not None and self._absent <= MAX_GAP:
            steps = self._absent + 1
            if self._leaves(face):
                self._next_shot()
            else:
                self._motion = (_centre(face) - _centre(self._last)) / np.float32(steps)
        else:
            self._motion = np.zeros(2, np.float32)
        self._last, self._absent = face, 0
        return face

    def _next_shot(self) -> None:
        self.shot += 1
        self._last, self._absent = None, 0
        self._motion = np.zeros(2, np.float32)

    def _search(self, image: Image) -> Face | None:
        if self._last is not None and self._absent == 0:
            face = self._finder.track(image, self._last)
            # Where a cut went unnoticed the mesh may fit itself to what stands there now.
            if face is not None and face.score >= SURE_SCORE and not self._leaves(face):
                return face
        if self._absent > LONG_ABSENCE and self._absent % SEARCH_EVERY:
            return None
        thorough = self._choice is not None
        faces = self._finder.search(image, self._min_eye_distance, thorough).faces
        if self._last is None or self._absent > MAX_GAP:
            return self._chosen(faces)
        last = self._last
        still, steps = np.zeros(2, np.float32), self._absent + 1
        same = [face for face in faces if not _jumped(last, face, still, steps)]
        if not same:
            # No face near: another person, unless the only one in the picture moved in a cut.
            return faces[0] if len(faces) == 1 and self._absent == 0 else None
        return min(same, key=lambda face: float(np.linalg.norm(_centre(face) - _centre(last))))

    def _chosen(self, faces: list[Face]) -> Face | None:
        """The face to begin with: the one chosen, or the largest once that one was seen."""
        face = choose(faces, self._choice or 1)
        if face is None and self._met:
            return faces[0] if faces else None
        if face is None:
            self.others = faces or self.others
        self._met = self._met or face is not None
        return face

    def _leaves(self, face: Face) -> bool:
        """Tell whether `face` is further from the last sighting than its motion explains."""
        assert self._last is not None
        steps = self._absent + 1
        return _jumped(self._last, face, self._motion * np.float32(steps), steps)


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
    """Tell whether the head moved or grew between two sightings as no head does."""
    unit = eye_distance(before.landmarks)
    surprise = float(np.linalg.norm(_centre(after) - _centre(before) - expected)) / unit
    growth = eye_distance(after.landmarks) / unit
    return surprise > MAX_JUMP * steps or not MAX_RESIZE**-steps < growth < MAX_RESIZE**steps
