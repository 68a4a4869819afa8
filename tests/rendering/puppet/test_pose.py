"""Articulation becomes gestures: closed lips stay closed, whatever the jaw does."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lipstream.rendering.puppet.pose import pose_of
from lipstream.speech.articulation.network import PARAMETERS
from tests.rendering.puppet.poses import pose

unit = st.floats(0, 1, width=32)
rows = arrays(np.float32, len(PARAMETERS), elements=unit)


def test_silence_is_rest() -> None:
    assert pose().is_rest
    assert not pose(jaw=0.5).is_rest


@given(rows)
def test_pressed_lips_let_nothing_through(row: np.ndarray) -> None:
    row[PARAMETERS.index("close")] = 1
    assert pose_of(row).jaw == 0


@given(rows, st.integers(1, 6))
def test_no_other_gesture_opens_the_jaw(row: np.ndarray, parameter: int) -> None:
    alone = np.zeros_like(row)
    alone[0] = row[0]
    assert pose_of(row).jaw <= pose_of(alone).jaw + 1e-6


@given(rows)
def test_gestures_stay_in_range(row: np.ndarray) -> None:
    gestures = pose_of(row).gestures
    assert (gestures >= 0).all() and (gestures <= 1).all()
