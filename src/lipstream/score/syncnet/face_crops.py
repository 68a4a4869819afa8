"""Faces as SyncNet sees them: square, 224 pixels wide, the mouth in the lower half.

The place is the evaluation's: around the box of a face, smoothed by a median over 13 frames, 0.4 of
it more to the sides and below. Its detector is S3FD; ours gives an outline of the face, and S3FD's
box is made from that as it lies in four clips of people who talk: 1.00 to 1.16 times the size, and
0.02 to 0.06 of it higher.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lipstream.avatar.face.finder import Face, FaceFinder
from lipstream.score.mouth import sightings

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

SIDE = 224  # pixels
ROOM = 0.4  # of the box, beside and below
LARGER, HIGHER = 1.08, 0.05  # S3FD's box than the outline; of the outline's longer side
FILL = 110  # grey level beyond the picture's edge


def face_crops(finder: FaceFinder, pictures: Iterable[Image]) -> Iterator[Image]:
    """(224, 224, 3) of every picture; where no face is near, at the last place of one.

    Before the first face the middle of the picture is taken, so that no frame is left out.
    """
    place: Floats | None = None
    for sighting, near in sightings(finder, pictures):
        if near:
            place = np.asarray(np.median([_box(face) for face in near], axis=0), np.float32)
        if place is None:
            height, width = sighting.image.shape[:2]
            middle = np.array([width / 2, height / 2, min(width, height) / 4], np.float32)
            yield crop(sighting.image, middle)
        else:
            yield crop(sighting.image, place)


def crop(image: Image, place: Floats) -> Image:
    """The square around x, y (middle of a face's box, pixels) and half its size."""
    x, y, half = (float(value) for value in place)
    room = int(half * (1 + 2 * ROOM))
    fill = (FILL, FILL, FILL)
    padded = cv2.copyMakeBorder(image, room, room, room, room, cv2.BORDER_CONSTANT, value=fill)
    top, bottom = int(y + room - half), int(y + room + half * (1 + 2 * ROOM))
    left, right = int(x + room - half * (1 + ROOM)), int(x + room + half * (1 + ROOM))
    return np.asarray(cv2.resize(padded[top:bottom, left:right], (SIDE, SIDE)), np.uint8)


def _box(face: Face) -> Floats:
    """(3,) the middle of a detector's box, x and y, and half its longer side, pixels."""
    low, high = face.landmarks[:, :2].min(axis=0), face.landmarks[:, :2].max(axis=0)
    side = (high - low).max()
    x, y = (low + high) / 2
    return np.array([x, y - HIGHER * side, LARGER * side / 2], np.float32)
