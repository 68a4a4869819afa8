"""The opening of the lips in finished frames, read in two ways.

Our own tracker reads the picture. Where it cannot follow, on painted and tiny mouths, the warp's
own geometry stands in: the rows in which the mouth's inside is seen, down the middle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cpu.faces.drawn import Part
from lipstream.avatar.face import landmarks as lm
from lipstream.avatar.face.finder import Face, FaceFinder
from lipstream.score.curves import Curve
from lipstream.score.mouth import LOOKS, looks, opening

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

MIDDLE = 0.12  # eye distances to either side of the mouth's middle that are looked at


def tracked(finder: FaceFinder, part: Part, only: int | None = None) -> Curve:
    """(n,) openings in eye distances by the tracker; of one frame where `only` is given.

    Looked at where the avatar's own landmarks are, in crops of two sizes; see `tracked_render`.
    """
    found: list[float] = []
    for index in range(len(part)) if only is None else [only]:
        points = part.points[index]
        image = np.asarray(part.frames[index])
        reading = None if np.isnan(points[0, 0]) else _read(finder, image, points)
        found.append(reading if reading is not None else (found[-1] if found else 0.0))
    return np.array(found)


def by_geometry(part: Part) -> Curve:
    """(n,) the height of what is seen between the lips, eye distances."""
    found = []
    for points, inside in zip(part.points, part.inside, strict=True):
        if np.isnan(points[0, 0]):
            found.append(0.0)
            continue
        eye = lm.eye_distance(points)
        middle = points[[lm.UPPER_LIP_CENTRE, lm.LOWER_LIP_CENTRE], 0].mean()
        left, right = max(int(middle - MIDDLE * eye), 0), int(middle + MIDDLE * eye) + 1
        columns = inside[:, left:right].astype(np.float32) / 255
        found.append(float(columns.sum(axis=0).mean() / eye) if columns.size else 0.0)
    return np.array(found)


def _read(finder: FaceFinder, image: Image, points: Floats) -> float | None:
    found = [face for face in looks(finder, image, Face(points, 1.0)) if face is not None]
    return opening(*(face.landmarks for face in found)) if len(found) == len(LOOKS) else None
