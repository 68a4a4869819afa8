"""Idle motion is a pure function of time: it blinks like a person, sways without a jump."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipstream.config import MotionConfig, MotionLevel
from lipstream.rendering.puppet.idle_motion import BLINK_CURVE, SWAY, lid_position, sway
from lipstream.rendering.puppet.warp import Doubles

FPS = Fraction(25)
MINUTE = 60 * 25


def lids(seed: int, frames: int = 5 * MINUTE, fps: Fraction = FPS) -> list[float]:
    return [lid_position(index, fps, MotionConfig(seed=seed)) for index in range(frames)]


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_a_face_blinks_as_often_as_people_do(seed: int) -> None:
    positions = lids(seed)
    starts = [i for i in range(1, len(positions)) if positions[i] > 0 and positions[i - 1] == 0]
    gaps = np.diff(starts) / 25
    assert 8 <= len(starts) / 5 <= 30
    assert 1.9 <= gaps.min() and gaps.max() <= 5.3


def test_every_blink_closes_fully_and_opens_again() -> None:
    positions = lids(0)
    start = next(i for i, position in enumerate(positions) if position > 0)
    assert tuple(positions[start : start + len(BLINK_CURVE)]) == BLINK_CURVE
    assert positions[start + len(BLINK_CURVE)] == 0


@pytest.mark.parametrize("fps", [Fraction(12), Fraction(30000, 1001), Fraction(60)])
def test_blinks_last_as_long_at_any_rate(fps: Fraction) -> None:
    positions = lids(0, frames=int(300 * fps), fps=fps)
    blinks = sum(a == 0 and b > 0 for a, b in pairwise(positions))
    seconds = sum(position > 0 for position in positions) / fps / blinks
    assert abs(seconds - Fraction(len(BLINK_CURVE), 25)) < 1 / fps


@given(st.integers(0, 1000), st.integers(0, 72 * 3600 * 25))
def test_sway_is_small_and_never_jumps(seed: int, index: int) -> None:
    config = MotionConfig(seed=seed)
    here, there = (sway(i, FPS, config, 1.0) for i in (index, index + 1))
    limits = np.array(SWAY)
    assert (np.abs(here) < 2.5 * limits).all()
    assert (np.abs(here - there) < 0.14 * limits).all()


def test_sway_wanders_around_rest() -> None:
    path = np.array([sway(i, FPS, MotionConfig(), 1.0) for i in range(0, 20 * MINUTE, 5)])
    assert np.abs(path.mean(0) / SWAY).max() < 0.15
    assert np.allclose(path.std(0), SWAY, rtol=0.15)


def test_lids_never_hang_at_few_frames_per_second() -> None:
    assert not any(lids(0, frames=200, fps=Fraction(5)))


def test_calm_is_half_as_far_and_slower_and_still_does_not_sway() -> None:
    def path(level: MotionLevel) -> Doubles:
        config = MotionConfig(level=level)
        return np.array([sway(i, FPS, config, 1.0) for i in range(0, 40 * MINUTE, 5)])

    lively, calm = path("lively"), path("calm")
    assert np.allclose(calm.std(0), 0.5 * lively.std(0), rtol=0.1)
    steps = [np.abs(np.diff(one, axis=0)).mean(0) / one.std(0) for one in (lively, calm)]
    assert (steps[1] < 0.7 * steps[0]).all()
    assert not path("still").any()


def test_seeds_differ_and_off_is_off() -> None:
    assert lids(0) != lids(1)
    still = MotionConfig(blink=False, sway=False)
    assert not any(lid_position(index, FPS, still) for index in range(1000))
    assert not sway(123, FPS, still, 60.0).any()
