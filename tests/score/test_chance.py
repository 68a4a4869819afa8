"""The promise is about probabilities, so it is kept on many unrelated curves."""

from __future__ import annotations

import numpy as np
import pytest

from lipstream.score.chance import Chance
from lipstream.score.curves import Curve, Track, centres, offset

FPS, SPAN = 25.0, 0.8


def rhythm(seed: int, seconds: float, rate: float, width: int) -> Curve:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * rate) + width)
    return np.convolve(noise, np.hanning(width), "valid")[: round(seconds * rate)]


def test_one_of_a_hundred_unrelated_mouths_passes_at_one_in_a_hundred() -> None:
    found = []
    for seed in range(300):
        mouth = rhythm(seed, 8, FPS, 7)
        sound = Track(rhythm(1000 + seed, 9, 50, 15), 50, -0.4)
        _, peak = offset(mouth, sound, FPS, SPAN / 2)
        unrelated = Chance.of(mouth, sound.at(centres(len(mouth), FPS)), FPS, SPAN)
        found.append(unrelated.probability(peak))
    shares = [float(np.mean(np.array(found) <= level)) for level in (0.01, 0.1)]
    assert 0 < shares[0] <= 0.025 and 0.05 <= shares[1] <= 0.15


def test_the_needed_correlation_is_the_one_with_that_probability() -> None:
    unrelated = Chance.of(rhythm(0, 10, FPS, 7), rhythm(1, 10, FPS, 7), FPS, SPAN)
    needed = unrelated.correlation(0.01)
    assert 0.2 < needed < 0.6
    assert unrelated.probability(needed) == pytest.approx(0.01, rel=1e-6)
    assert unrelated.probability(0.99) < 1e-6
    assert unrelated.probability(0) == 1


def test_a_short_video_needs_more_and_a_slow_mouth_too() -> None:
    def needed(seconds: float, width: int) -> float:
        one, other = rhythm(0, seconds, FPS, width), rhythm(1, seconds, FPS, width)
        return Chance.of(one, other, FPS, SPAN).correlation(0.01)

    assert needed(3, 7) > needed(10, 7) > needed(60, 7)
    assert needed(30, 21) > needed(30, 7)


def test_nothing_is_known_of_a_flat_curve() -> None:
    flat = Chance.of(np.full(50, 0.02), rhythm(0, 2, FPS, 7), FPS, SPAN)
    assert flat.probability(0) == 1 and flat.correlation(0.01) == 1
