"""Channels that cancel each other are heard, and all others as before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipstream.media.audio import AudioChunk
from lipstream.media.image import Floats
from lipstream.speech.mono_mixer import MonoMixer

RATE = 16_000


def voice(seconds: float, seed: int = 0) -> Floats:
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))
    return np.clip(noise, -1, 1).astype(np.float32)


def mixed(samples: Floats, cuts: list[int] | None = None) -> Floats:
    mixer = MonoMixer(RATE)
    parts = np.split(samples, sorted(cuts or []))
    return np.concatenate([mixer.mix(AudioChunk(part, RATE)) for part in parts])


def test_an_inverted_channel_is_heard_after_one_block() -> None:
    left = voice(1)
    heard = mixed(np.stack([left, -left], axis=1))
    assert len(heard) == len(left)
    assert np.array_equal(heard[640:], left[640:])
    assert not heard[:320].any()


@pytest.mark.parametrize("right", ["same", "other", "silent", "half", "quarter turn"])
def test_channels_that_do_not_cancel_are_mixed_to_their_mean(right: str) -> None:
    left = voice(2)
    others: dict[str, Floats] = {
        "same": left,
        "other": voice(2, seed=1),
        "silent": 0 * left,
        "half": left / np.float32(2),
        "quarter turn": np.roll(left, 4),
    }
    stereo: Floats = np.stack([left, others[right]], axis=1)
    assert np.array_equal(mixed(stereo), AudioChunk(stereo, RATE).mono())


def test_an_inverted_channel_that_is_a_little_quieter_cancels_too() -> None:
    left = voice(1)
    heard = mixed(np.stack([-0.8 * left, left], axis=1))
    assert np.array_equal(heard[640:], left[640:])


def test_the_channel_is_kept_through_a_pause_and_given_up_when_the_mean_is_good_again() -> None:
    left, pause = voice(1), np.zeros(RATE, np.float32)
    both = np.stack([np.concatenate([left, pause, left]), np.concatenate([-left, pause, left])], 1)
    heard = mixed(both)
    assert np.array_equal(heard[640:RATE], left[640:])
    assert np.array_equal(heard[-RATE // 2 :], left[-RATE // 2 :])


def test_the_louder_one_of_cancelling_channels_is_followed() -> None:
    first, second = voice(1), voice(2, seed=1)
    left, right = np.concatenate([first, -second / 2]), np.concatenate([-first / 2, second])
    heard = mixed(np.stack([left, right], axis=1))
    assert np.array_equal(heard[640:RATE], first[640:])
    assert np.array_equal(heard[-RATE // 2 :], second[-RATE // 2 :])


def test_silence_stays_silence() -> None:
    assert not mixed(np.zeros((5000, 2), np.float32)).any()


def test_one_channel_is_passed_through() -> None:
    assert np.array_equal(mixed(voice(1)[:, None]), voice(1))


@settings(max_examples=50)
@given(
    cuts=st.lists(st.integers(0, 6_000), max_size=8),
    seed=st.integers(0, 9),
    channels=st.integers(2, 5),
)
def test_any_chunking_gives_the_same_samples(cuts: list[int], seed: int, channels: int) -> None:
    random = np.random.default_rng(seed)
    samples = random.uniform(-1, 1, (6_000, channels)).astype(np.float32)
    samples[1000:3000, 1] = -samples[1000:3000, 0]
    samples[1000:3000, 2:] = 0
    assert np.array_equal(mixed(samples), mixed(samples, cuts))
