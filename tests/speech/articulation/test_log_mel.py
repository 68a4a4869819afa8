from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lipstream.speech.articulation.log_mel import BANDS, FEATURES, LogMel
from lipstream.timeline import FEATURE_STEP, SAMPLE_RATE


def tone(hertz: float, seconds: float, level: float = 0.1) -> NDArray[np.float32]:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def encoded(samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[float]]:
    return LogMel().steps(samples[: len(samples) // FEATURE_STEP * FEATURE_STEP])


def test_a_step_has_two_windows_of_bands_and_level() -> None:
    features, _ = encoded(tone(440, 0.5))
    assert features.shape == (25, FEATURES)
    assert features.dtype == np.float32


@pytest.mark.parametrize("together", [1, 2, 7])
def test_steps_do_not_depend_on_how_many_come_at_once(together: int) -> None:
    samples = np.random.default_rng(0).standard_normal(28 * FEATURE_STEP).astype(np.float32)
    front, size = LogMel(), together * FEATURE_STEP
    parts = [front.steps(samples[at : at + size]) for at in range(0, len(samples), size)]
    features, loudness = encoded(samples)
    np.testing.assert_array_equal(np.concatenate([one for one, _ in parts]), features)
    assert [level for _, levels in parts for level in levels] == loudness


def test_a_higher_tone_excites_a_higher_band() -> None:
    low, _ = encoded(tone(300, 0.5))
    high, _ = encoded(tone(3000, 0.5))
    assert low[-1, :BANDS].argmax() < high[-1, :BANDS].argmax()


def test_features_are_causal() -> None:
    samples = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32) * 0.1
    changed = samples.copy()
    changed[10 * FEATURE_STEP :] = 0
    before, after = encoded(samples)[0], encoded(changed)[0]
    np.testing.assert_array_equal(before[:10], after[:10])
    assert not np.array_equal(before[10], after[10])


def test_level_is_followed_so_that_loud_and_quiet_speech_look_alike() -> None:
    noise = np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE).astype(np.float32)
    loud, quiet = encoded(noise * 0.1)[0], encoded(noise * 0.01)[0]
    np.testing.assert_allclose(loud[-1, :BANDS], quiet[-1, :BANDS], atol=0.02)
    assert loud[-1, BANDS] - quiet[-1, BANDS] > 0.8


def test_loudness_is_in_decibels_and_has_a_floor() -> None:
    _, loud = encoded(tone(1000, 0.5, 0.1))
    _, louder = encoded(tone(1000, 0.5, 0.2))
    assert abs(louder[-1] - loud[-1] - 6.02) < 0.05
    assert encoded(np.zeros(SAMPLE_RATE, np.float32))[1][-1] == pytest.approx(-70.0)


def test_hum_is_quiet_next_to_speech_sounds_of_the_same_power() -> None:
    _, hum = encoded(tone(50, 0.5))
    _, vowel = encoded(tone(500, 0.5))
    assert hum[-1] < vowel[-1] - 3
