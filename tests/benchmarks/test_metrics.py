from __future__ import annotations

import numpy as np
import pytest

from benchmarks import metrics
from lipstream.score.curves import Count, Curve, Scale
from training.phonemes import Segment

WORD = (
    Segment(0.0, 0.5, ""),
    Segment(0.5, 0.6, "m"),
    Segment(0.6, 0.8, "a"),
    Segment(0.8, 0.9, "p"),
    Segment(0.9, 1.1, "a"),
    Segment(1.1, 1.6, ""),
)
FRAMES = 40


def said(openings: dict[int, float]) -> Curve:
    """A mouth that is closed but in the frames given."""
    curve = np.zeros(FRAMES)
    for frame, value in openings.items():
        curve[frame] = value
    return curve


def test_a_closure_may_be_seen_a_little_beside_its_sound() -> None:
    open_mouth = np.ones(FRAMES)
    scale = Scale(0.0, 1.0)
    assert metrics.closures(open_mouth, scale, WORD) == Count(0, 2)
    beside = open_mouth.copy()
    beside[11] = 0.1  # 0.46 s, 40 ms before /m/
    assert metrics.closures(beside, scale, WORD) == Count(1, 2)
    far = open_mouth.copy()
    far[10] = 0.1  # 0.42 s
    assert metrics.closures(far, scale, WORD) == Count(0, 2)


def test_vowels_are_judged_in_their_middle() -> None:
    scale = Scale(0.0, 1.0)
    assert metrics.shut_vowels(said({17: 1.0, 25: 1.0}), scale, WORD) == Count(0, 2)
    assert metrics.shut_vowels(said({15: 1.0, 25: 1.0}), scale, WORD) == Count(1, 2)


def test_pauses_leave_out_the_edges_of_sounds() -> None:
    silent = np.flatnonzero(metrics.pauses(FRAMES, WORD))
    assert silent.tolist() == [*range(0, 10), *range(30, 40)]


def test_a_picture_that_never_moves_is_not_hasty() -> None:
    still = np.full(FRAMES, 0.03)
    assert metrics.jerk(still, Scale.of(still)) == 0


def test_blinks_are_counted_once_each() -> None:
    eyes = np.full(60, 0.34)
    eyes[10:13] = 0.27
    eyes[40] = 0.28
    eyes[50] = 0.31  # a squint
    assert metrics.blinks(eyes) == 2


def test_jitter_is_nothing_for_steady_motion() -> None:
    steps = np.arange(30, dtype=np.float32)
    drift = np.stack([np.stack([steps, 2 * steps], -1)] * 5, axis=1)
    assert metrics.jitter(drift) == pytest.approx(0)
    drift[15] += 1
    assert metrics.jitter(drift) > 0.1
