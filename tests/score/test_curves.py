from __future__ import annotations

import numpy as np
import pytest

from lipstream.score import curves
from lipstream.score.curves import Count, Scale, Track


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
    still = np.full(40, 0.03)
    scale = Scale.of(still)
    assert not scale.closed(still).any()
    assert not scale.relative(still).any()
    assert curves.correlation(still, np.arange(40, dtype=float)) == 0
    assert curves.offset(still, speech()) == (0, 0)


def test_a_track_is_read_between_its_values_and_held_at_its_ends() -> None:
    track = Track(np.array([0.0, 1.0]), rate=10, first=0.05)
    assert track.at(np.array([0.0, 0.05, 0.1, 0.15, 9.0])) == pytest.approx([0, 0, 0.5, 1, 1])


def test_frames_are_judged_at_their_middle() -> None:
    assert curves.centres(3) == pytest.approx([0.02, 0.06, 0.10])


@pytest.mark.parametrize("delay", [-0.087, -0.04, 0.0, 0.013, 0.055, 0.120])
def test_the_offset_is_found_far_finer_than_a_frame(delay: float) -> None:
    target = speech()
    openings = target.at(curves.centres(200) - delay)
    seconds, peak = curves.offset(openings, target)
    assert seconds == pytest.approx(delay, abs=0.002)
    assert peak == pytest.approx(1, abs=0.01)


def test_correlation_ignores_level_and_gain() -> None:
    curve = speech().values
    assert curves.correlation(0.1 + 0.05 * curve, curve) == pytest.approx(1)
    assert curves.correlation(-curve, curve) == pytest.approx(-1)


def test_only_what_is_as_fast_as_syllables_is_left() -> None:
    seconds = np.arange(400) / 100

    def left(hertz: float) -> float:
        wave = np.sin(2 * np.pi * hertz * seconds)
        return float(curves.syllabic(wave, 100)[50:-50].std() / wave.std())

    assert left(0.25) < 0.03
    assert left(2) == pytest.approx(0.5, abs=0.05)
    assert left(4) == pytest.approx(1, abs=0.05)
    drift = curves.syllabic(np.linspace(0, 1, 200), 25)
    assert np.abs(drift[20:-20]).max() < 1e-9
    assert curves.syllabic(np.full(3, 0.5), 25) == pytest.approx([0, 0, 0])


def test_lips_that_should_meet_are_looked_at_a_little_before_and_after() -> None:
    closed = np.zeros(20, np.bool_)
    closed[10] = True
    times = curves.centres(20)  # frame 10 is at 0.42 s
    assert curves.shut_at(closed, times, [(0.48, 0.5), (0.49, 0.5), (0.3, 0.37)]) == Count(2, 3)


def test_the_edges_of_a_pause_are_no_rest() -> None:
    resting = curves.at_rest(curves.centres(20), [(0.1, 0.5)])
    assert np.flatnonzero(resting).tolist() == [5, 6, 7, 8, 9]
    assert not curves.at_rest(curves.centres(20), []).any()


def test_counts_add_up() -> None:
    assert Count(1, 2) + Count(2, 2) == Count(3, 4)
    assert Count(3, 4).share == 0.75
    assert np.isnan(Count(0, 0).share)
