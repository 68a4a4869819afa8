"""The choice of one face among several, and the turn that sets it upright."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from lipstream.avatar.face.finder import Face
from lipstream.avatar.face.landmarks import FACE_OVAL, roll
from lipstream.media.image import Floats, Image

# Of a person: 1 is the largest face, 2 the next, or a place in pixels that lies on the face.
FaceChoice: TypeAlias = "int | tuple[float, float]"


def choose(faces: Sequence[Face], choice: FaceChoice) -> Face | None:
    """The face of `faces`, the largest first, that is meant; None where it is not there."""
    if isinstance(choice, int):
        return faces[choice - 1] if choice <= len(faces) else None
    around = [face for face in faces if _distance(face, choice) <= 1]
    return min(around, key=lambda face: _distance(face, choice), default=None)


def centre(face: Face) -> tuple[float, float]:
    """The middle of the face's outline, in pixels."""
    x, y = _outline(face).mean(axis=0)
    return float(x), float(y)


def turns_to_upright(face: Face) -> int:
    """Quarter turns, clockwise, after which the face stands upright: 0 to 3."""
    return round(-roll(face.landmarks) / (math.pi / 2)) % 4


def turned(image: Image, quarter_turns: int) -> Image:
    """The picture turned clockwise."""
    return np.ascontiguousarray(np.rot90(image, -quarter_turns))


def turned_point(
    point: tuple[float, float], size: tuple[int, int], quarter_turns: int
) -> tuple[float, float]:
    """The place of a point of a picture of `size` (width, height) once that is turned clockwise."""
    x, y = point
    width, height = size
    for _ in range(quarter_turns % 4):
        x, y, width, height = height - y, x, height, width
    return x, y


def _outline(face: Face) -> Floats:
    return np.asarray(face.landmarks[list(FACE_OVAL), :2], np.float32)


def _distance(face: Face, point: tuple[float, float]) -> float:
    """Of a point from the middle of a face, as a share of the radius of the face's outline."""
    outline, middle = _outline(face), np.asarray(centre(face))
    radius = float(np.linalg.norm(outline - middle, axis=1).max())
    return float(np.linalg.norm(np.asarray(point) - middle)) / max(radius, 1.0)
