from __future__ import annotations

import numpy as np
import pytest

from benchmarks import metrics
from benchmarks.metrics import Count, Curve, Scale, Track
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


def speech(seconds: float = 8.0, rate: int = 100) -> Track:
    """A lively curve: low-passed noise."""
    noise = np.random.default_rng(0).standard_normal(round(seconds * rate))
    smooth = np.convolve(noise, np.hanning(25), "same")
    return Track(smooth, rate, 0.5 / rate)


def test_the_scale_is_the_inner_nine_tenths_and_a_fifth_of_it_counts_as_closed() -> None:
    scale = Scale.of(np.linspace(0.02, 0.12, 101))
    assert scale.level == pytest.approx(0.025)
    assert scale.range == pytest.approx(0.09)
    assert scale.closed(np.array([0.025, 0.042, 0.044])).tolist() == [True, True, False]
    assert scale.relative(np.array([0.025, 0.115])) == pytest.approx([0, 1])


def test_a_picture_that_never_moves_is_never_closed_nor_open() -> None:
    still = np.full(FRAMES, 0.03)
    scale = Scale.of(still)
    assert not scale.closed(still).any()
    assert not scale.relative(still).any()
    assert metrics.correlation(still, np.arange(FRAMES, dtype=float)) == 0
    assert metrics.offset(still, speech()) == (0, 0)
    assert metrics.jerk(still, scale) == 0


def test_a_track_is_read_between_its_values_and_held_at_its_ends() -> None:
    track = Track(np.array([0.0, 1.0]), rate=10, first=0.05)
    assert track.at(np.array([0.0, 0.05, 0.1, 0.15, 9.0])) == pytest.approx([0, 0, 0.5, 1, 1])


def test_frames_are_judged_at_their_middle() -> None:
    assert metrics.centres(3) == pytest.approx([0.02, 0.06, 0.10])


@pytest.mark.parametrize("delay", [-0.087, -0.04, 0.0, 0.013, 0.055, 0.120])
def test_the_offset_is_found_far_finer_than_a_frame(delay: float) -> None:
    target = speech()
    openings = target.at(metrics.centres(200) - delay)
    seconds, peak = metrics.offset(openings, target)
    assert seconds == pytest.approx(delay, abs=0.002)
    assert peak == pytest.approx(1, abs=0.01)


def test_correlation_ignores_level_and_gain() -> None:
    curve = speech().values
    assert metrics.correlation(0.1 + 0.05 * curve, curve) == pytest.approx(1)
    assert metrics.correlation(-curve, curve) == pytest.approx(-1)


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


def test_counts_add_up() -> None:
    assert Count(1, 2) + Count(2, 2) == Count(3, 4)
    assert Count(3, 4).share == 0.75
    assert np.isnan(Count(0, 0).share)


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
