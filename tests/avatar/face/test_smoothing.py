from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.avatar.face.landmarks import LIPS, POINTS, RIGID
from lipstream.avatar.face.smoothing import MAX_GAP, fill_gaps, jitter, runs, smooth

if TYPE_CHECKING:
    from lipstream.media.image import Floats


@pytest.fixture(scope="module")
def shape() -> Floats:
    points = np.random.default_rng(2).normal(0, 40, (POINTS, 2))
    points[33], points[263] = (-50, 0), (50, 0)
    return points.astype(np.float32)


def still(shape: Floats, count: int) -> list[Floats | None]:
    return [shape.copy() for _ in range(count)]


@given(
    states=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60),
)
def test_runs_hold_every_face_once_and_nothing_else(states: list[tuple[bool, bool]]) -> None:
    present = [face for face, _ in states]
    shots = [int(number) for number in np.cumsum([cut for _, cut in states])]
    covered = [index for run in runs(present, shots) for index in range(run.start, run.stop)]
    assert covered == [index for index, face in enumerate(present) if face]
    for run in runs(present, shots):
        assert len(set(shots[run])) == 1


def test_short_gaps_are_filled_on_a_straight_line(shape: Floats) -> None:
    track: list[Floats | None] = [shape, *[None] * MAX_GAP, shape + np.float32(60)]
    filled = fill_gaps(track, [0] * len(track))
    steps = [float(points[0, 0] - shape[0, 0]) for points in filled if points is not None]
    assert steps == pytest.approx([0, 10, 20, 30, 40, 50, 60], abs=1e-3)


def test_long_gaps_open_ends_and_cuts_stay_empty(shape: Floats) -> None:
    long: list[Floats | None] = [shape, *[None] * (MAX_GAP + 1), shape]
    assert fill_gaps(long, [0] * len(long))[1:-1] == [None] * (MAX_GAP + 1)
    assert fill_gaps([None, shape, None], [0, 0, 0])[0] is None
    assert fill_gaps([None, shape, None], [0, 0, 0])[2] is None
    assert fill_gaps([shape, None, shape], [0, 0, 1])[1] is None


def test_noise_falls_and_lips_keep_more_of_their_motion(shape: Floats) -> None:
    random = np.random.default_rng(4)
    noisy: list[Floats | None] = [
        shape + random.normal(0, 1, shape.shape).astype(np.float32) for _ in range(60)
    ]
    shots = [0] * 60
    quiet = smooth(noisy, shots)
    assert jitter(quiet, shots) < jitter(noisy, shots) / 10
    assert jitter(quiet, shots, LIPS) < jitter(noisy, shots, LIPS) / 2.5
    assert jitter(quiet, shots, LIPS) > jitter(quiet, shots)


def test_motion_is_followed_without_lag(shape: Floats) -> None:
    moving: list[Floats | None] = [
        shape + np.array((3.0 * index, 0.05 * index**2), np.float32) for index in range(50)
    ]
    for before, after in zip(moving, smooth(moving, [0] * 50), strict=True):
        assert before is not None and after is not None
        assert np.abs(after - before).max() < 0.05


def test_a_mouth_that_opens_for_four_frames_still_opens(shape: Floats) -> None:
    track = still(shape, 41)
    for index, amount in ((18, 4.0), (19, 10.0), (20, 10.0), (21, 4.0)):
        opened = shape.copy()
        opened[list(set(LIPS) - set(RIGID)), 1] += np.float32(amount)
        track[index] = opened
    lips = [points[LIPS[0], 1] for points in smooth(track, [0] * 41) if points is not None]
    assert max(lips) - shape[LIPS[0], 1] > 8
    assert int(np.argmax(lips)) in (19, 20)


def test_nothing_leaks_across_a_cut_or_a_long_gap(shape: Floats) -> None:
    far = shape + np.float32(200)
    cut: list[Floats | None] = [*still(shape, 20), *still(far, 20)]
    after = smooth(cut, [0] * 20 + [1] * 20)
    gap: list[Floats | None] = [*still(shape, 20), None, *still(far, 20)]
    for track in (after, smooth(gap, [0] * 41)):
        assert track[19] is not None and track[-20] is not None
        assert np.abs(track[19] - shape).max() < 1e-3
        assert np.abs(track[-20] - far).max() < 1e-3


@given(count=st.integers(1, 8))
def test_short_runs_survive(count: int) -> None:
    points = np.random.default_rng(count).normal(0, 40, (POINTS, 2)).astype(np.float32)
    track: list[Floats | None] = [points] * count
    for quiet in smooth(track, [0] * count):
        assert quiet is not None
        assert np.abs(quiet - points).max() < 1e-2


def test_jitter_of_one_frame_is_none(shape: Floats) -> None:
    assert jitter([shape], [0]) == 0.0
    assert jitter([None, None], [0, 0]) == 0.0
