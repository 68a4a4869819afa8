"""Very quiet speech is raised, usual speech and noise are not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipstream.media.image import Floats
from lipstream.speech.quiet_speech import MAX_GAIN, QuietSpeechGain
from lipstream.timeline import SAMPLE_RATE
from tests.speech.articulation.networks import noise, syllables


def level(decibels: float) -> float:
    return float(10 ** (decibels / 20))


@cache
def voice(decibels: float, seconds: float = 3.0) -> Floats:
    """A voice over a noise floor 40 dB below it."""
    return (syllables(seconds, 0.1) * level(decibels + 20)).astype(np.float32)


def raised_by(samples: Floats) -> float:
    """dB by which the last second is raised."""
    given_, raised = samples[-SAMPLE_RATE:], QuietSpeechGain().apply(samples)[-SAMPLE_RATE:]
    return float(10 * np.log10(np.square(raised).sum() / np.square(given_).sum()))


@pytest.mark.parametrize("decibels", [-10.0, -20.0, -30.0, -38.0])
def test_speech_of_a_usual_level_is_not_touched(decibels: float) -> None:
    samples = voice(decibels)
    assert np.array_equal(QuietSpeechGain().apply(samples), samples)


@pytest.mark.parametrize("decibels", [-55.0, -62.0, -70.0])
def test_very_quiet_speech_is_raised_to_where_it_is_heard(decibels: float) -> None:
    assert -50 < decibels + raised_by(voice(decibels)) < -38


def test_the_gain_has_a_limit() -> None:
    assert raised_by(voice(-76.0)) == pytest.approx(MAX_GAIN, abs=0.5)


SOUNDS_WITHOUT_SPEECH = {
    "digital silence": np.zeros(4 * SAMPLE_RATE, np.float32),
    "noise at -60 dB": noise(4.0, level(-60)),
    "pink noise at -60 dB": noise(4.0, level(-60), pink=True),
    "noise at -75 dB": noise(4.0, level(-75)),
    "noise that begins": np.concatenate([np.zeros(SAMPLE_RATE), noise(3.0, level(-60))]),
    "hum": level(-60) * np.sin(2 * np.pi * 50 * np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE),
    "16 bits of nothing": np.random.default_rng(0).integers(-1, 2, 4 * SAMPLE_RATE) / 32768,
    "direct current": np.full(4 * SAMPLE_RATE, 0.01),
}


@pytest.mark.parametrize("name", SOUNDS_WITHOUT_SPEECH)
def test_what_is_no_speech_is_not_raised(name: str) -> None:
    samples = SOUNDS_WITHOUT_SPEECH[name].astype(np.float32)
    assert np.array_equal(QuietSpeechGain().apply(samples), samples)


def test_a_loud_sound_after_quiet_speech_is_made_no_louder() -> None:
    quiet, loud = voice(-60.0), voice(-16.0, 1.0)
    raised = QuietSpeechGain().apply(np.concatenate([quiet, loud]))[len(quiet) :]
    assert np.abs(raised).max() <= np.abs(loud).max()
    assert np.array_equal(raised[2000:], loud[2000:])


def test_a_pause_changes_nothing() -> None:
    quiet, pause = voice(-60.0, 2.0), np.zeros(3 * SAMPLE_RATE, np.float32)
    gain = QuietSpeechGain()
    before = gain.apply(quiet)[-4000:]
    assert not gain.apply(pause).any()
    after = gain.apply(quiet)[-4000:]
    assert np.allclose(before, after, rtol=0.1)


def test_a_fork_goes_on_by_itself() -> None:
    gain, samples = QuietSpeechGain(), voice(-60.0)
    gain.apply(samples)
    fork = gain.fork()
    fork.apply(voice(-10.0))
    assert np.array_equal(
        gain.apply(samples), QuietSpeechGain().apply(np.tile(samples, 2))[48_000:]
    )


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 40_000), max_size=8), decibels=st.sampled_from([-20, -50, -65]))
def test_any_chunking_gives_the_same_samples(cuts: list[int], decibels: int) -> None:
    samples = np.concatenate([voice(decibels, 2.0), voice(-30.0, 0.5)])
    gain = QuietSpeechGain()
    pieces = [gain.apply(part) for part in np.split(samples, sorted(cuts))]
    assert np.array_equal(np.concatenate(pieces), QuietSpeechGain().apply(samples))
