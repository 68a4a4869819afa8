"""The mouth of a video: its opening in every frame, and how it fits into the face around it.

A face is followed through the video, then read where it was in the mean of half a second: crops
that follow every trembling of the tracker would feed its noise back into the reading.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.avatar.face.finder import Face, FaceFinder
from lipstream.avatar.face.tracker import FaceTracker
from lipstream.score.colour import lip_colour, mouth_tint
from lipstream.score.curves import Curve
from lipstream.score.sharpness import is_comparable, sharpness_ratio

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

# The mesh reads a mouth differently in crops of different size. On ramps of known openings the mean
# of these two errs least (correlation 0.99 with the truth; 0.96 for the usual crop alone).
LOOKS = (1.0, 1.25)  # sizes of the crops, in crops of the face itself
WINDOW = 6  # frames before and after over which the place of a face is averaged
MIN_EYE_DISTANCE = 24.0  # pixels; a smaller face shows no lips
PICTURE_EVERY = 5  # frames, of which one is looked at for sharpness and colour


@dataclass(frozen=True, slots=True, eq=False)
class MouthTrack:
    """The readings of a video's mouth, one per frame; NaN where no face is seen."""

    fps: Fraction
    openings: Curve  # (frames,) gap between the inner lips, eye distances
    # Of every `PICTURE_EVERY`th frame, if its mouth is inside the picture:
    sharpness: Curve  # the mouth's over that of eyes and nose
    tint: Curve  # CIELAB a*b* distance of the skin at the mouth from the cheeks
    colours: Floats  # (n, 3) mean RGB of the mouth, 0..255

    @property
    def seen(self) -> int:
        """Frames with a face."""
        return int(np.isfinite(self.openings).sum())

    def filled(self) -> Curve:
        """The openings, straight lines where no face is seen."""
        known = np.isfinite(self.openings)
        frames = np.arange(len(self.openings))
        return np.asarray(np.interp(frames, frames[known], self.openings[known]))


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A picture and the face that is followed, None where it is not seen."""

    image: Image
    face: Face | None
    shot: int


def read_mouth(pictures: Iterable[Image], fps: Fraction) -> MouthTrack:
    """Read the mouth in all pictures, `fps` of which make a second; memory holds a few."""
    finder = FaceFinder()
    openings: list[float] = []
    sharpness: list[float] = []
    tints: list[float] = []
    colours: list[Floats] = []
    for index, (image, points) in enumerate(_looked_at(finder, pictures)):
        openings.append(np.nan if points is None else opening(points[0], points[1]))
        if index % PICTURE_EVERY == 0 and points is not None and is_comparable(image, points[0]):
            sharpness.append(sharpness_ratio(image, points[0]))
            tints.append(mouth_tint(image, points[0]))
            colours.append(lip_colour(image, points[0]))
    return MouthTrack(
        fps,
        np.array(openings, np.float64),
        np.array(sharpness, np.float64),
        np.array(tints, np.float64),
        np.array(colours, np.float32).reshape(-1, 3),
    )


def opening(*looks: Floats) -> float:
    """The gap between the lips in eye distances: the mean over looks at one face."""
    return sum(lm.mouth_gap(points) / lm.eye_distance(points) for points in looks) / len(looks)


def looks(finder: FaceFinder, image: Image, place: Face) -> list[Face | None]:
    """One face read in the crops of `LOOKS` around `place`; None where a crop shows none."""
    return [finder.track(image, _resized(place, size)) for size in LOOKS]


def sightings(
    finder: FaceFinder, pictures: Iterable[Image]
) -> Iterator[tuple[Sighting, list[Face]]]:
    """Each picture, and the same face in up to `WINDOW` frames before and after it, of its shot."""
    around: deque[Sighting | None] = deque(maxlen=2 * WINDOW + 1)
    tracker = FaceTracker(finder, MIN_EYE_DISTANCE)

    def followed() -> Iterator[Sighting | None]:
        for image in pictures:
            face = tracker.update(image)
            yield Sighting(image, face, tracker.shot)
        yield from [None] * WINDOW

    for latest in followed():
        around.append(latest)
        if len(around) <= WINDOW:
            continue
        middle = around[-1 - WINDOW]
        if middle is not None:
            same_shot = [one for one in around if one is not None and one.shot == middle.shot]
            yield middle, [one.face for one in same_shot if one.face is not None]


def _looked_at(
    finder: FaceFinder, pictures: Iterable[Image]
) -> Iterator[tuple[Image, list[Floats] | None]]:
    """Each picture with the landmarks of its looks; None where there is no face."""
    for sighting, near in sightings(finder, pictures):
        if sighting.face is None:
            yield sighting.image, None
            continue
        place = np.asarray(np.mean([face.landmarks for face in near], axis=0), np.float32)
        found = looks(finder, sighting.image, Face(place, sighting.face.score))
        yield sighting.image, [(face or sighting.face).landmarks for face in found]


def _resized(face: Face, size: float) -> Face:
    """The face enlarged about its middle: where it is looked for grows with it."""
    points = face.landmarks.copy()
    middle = points[:, :2].mean(axis=0)
    points[:, :2] = middle + (points[:, :2] - middle) * np.float32(size)
    return Face(points, face.score)
