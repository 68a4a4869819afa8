from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.avatar.face import landmarks
from lipstream.avatar.face.finder import Face

if TYPE_CHECKING:
    from lipstream.media.image import Floats

CONTOURS = {
    name: value
    for name, value in vars(landmarks).items()
    if isinstance(value, tuple) and name not in ("EYES", "GAP_PAIRS")
}


@pytest.mark.parametrize("name", CONTOURS)
def test_every_list_names_different_points_of_the_mesh(name: str) -> None:
    points = CONTOURS[name]
    assert len(set(points)) == len(points)
    assert all(0 <= point < landmarks.POINTS for point in points)


@pytest.mark.parametrize("name", [name for name in CONTOURS if name.endswith(("_LIP", "_LID"))])
def test_contours_run_from_left_to_right_in_the_picture(name: str, face: Face) -> None:
    across = face.landmarks[list(CONTOURS[name]), 0]
    assert (np.diff(across) > 0).all()


def test_parts_of_the_face_lie_where_they_belong(face: Face) -> None:
    height = face.landmarks[:, 1]
    order = [
        landmarks.FOREHEAD,
        105,  # the upper edge of the right brow
        landmarks.RIGHT_UPPER_LID[4],
        landmarks.RIGHT_LOWER_LID[4],
        landmarks.NOSE_TIP,
        landmarks.OUTER_UPPER_LIP[5],
        landmarks.UPPER_LIP_CENTRE,
        landmarks.LOWER_LIP_CENTRE,
        landmarks.OUTER_LOWER_LIP[5],
        landmarks.CHIN,
    ]
    assert (np.diff(height[order]) > 0).all()


def test_measures_of_the_portrait(face: Face) -> None:
    points = face.landmarks
    assert landmarks.eye_distance(points) == pytest.approx(75, abs=2)
    assert 0.6 < landmarks.mouth_width(points) / landmarks.eye_distance(points) < 0.8
    assert 0.1 < landmarks.mouth_gap(points) / landmarks.mouth_width(points) < 0.25
    assert abs(landmarks.yaw(points)) < 0.05
    assert math.degrees(landmarks.roll(points)) == pytest.approx(3, abs=1)


@given(
    angle=st.floats(-3.0, 3.0),
    scale=st.floats(0.1, 10),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_turning_and_scaling_changes_measures_as_it_must(
    angle: float, scale: float, shift: tuple[float, float]
) -> None:
    points = np.random.default_rng(0).normal(0, 100, (landmarks.POINTS, 2))
    points[landmarks.RIGHT_EYE_OUTER] = (-50, 0)
    points[landmarks.LEFT_EYE_OUTER] = (50, 0)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    before: Floats = points.astype(np.float32)
    after: Floats = (points @ turn.T * scale + shift).astype(np.float32)
    assert landmarks.roll(after) == pytest.approx(angle, abs=1e-3)
    assert landmarks.yaw(after) == pytest.approx(landmarks.yaw(before), abs=1e-3)
    for measure in (landmarks.eye_distance, landmarks.mouth_width, landmarks.mouth_gap):
        assert measure(after) == pytest.approx(measure(before) * scale, rel=1e-3, abs=1e-2)
