from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from lipstream.avatar.face.landmarks import eye_distance
from lipstream.avatar.face.steadiness import without_unsteady_shots

if TYPE_CHECKING:
    from lipstream.avatar.face.finder import Face
    from lipstream.media.image import Floats

FPS = Fraction(25)


def shaken(face: Face, count: int, share: float) -> list[Floats]:
    """The face jumping to and fro by `share` of the eye distance."""
    step = share * eye_distance(face.landmarks)
    return [np.float32(step * (index % 2)) + face.landmarks[:, :2] for index in range(count)]


def resting(measured: Sequence[Floats | None], shots: list[int], fps: Fraction = FPS) -> set[int]:
    """The shots in which nothing is left."""
    kept = without_unsteady_shots(measured, shots, fps)
    return set(shots) - {shot for shot, face in zip(shots, kept, strict=True) if face is not None}


def test_a_shot_of_a_few_frames_rests(face: Face) -> None:
    shots = [0] * 25 + [1] * 9 + [2] * 10
    assert resting(shaken(face, 44, 0.005), shots) == {1}
    assert resting(shaken(face, 44, 0.005), shots, Fraction(15)) == set()


def test_a_shot_that_shakes_rests(face: Face) -> None:
    calm, wild = shaken(face, 25, 0.01), shaken(face, 25, 0.04)
    assert resting([*calm, *wild], [0] * 25 + [1] * 25) == {1}


def test_a_shot_that_hardly_shows_its_face_rests(face: Face) -> None:
    seen = shaken(face, 30, 0.005)
    assert resting([*seen, *[None] * 20, *seen[:5]], [0] * 30 + [1] * 25) == {1}


def test_a_clip_of_one_shot_keeps_its_faces(face: Face) -> None:
    measured = shaken(face, 5, 0.1)
    kept = without_unsteady_shots(measured, [0] * 5, FPS)
    assert all(one is other for one, other in zip(kept, measured, strict=True))
