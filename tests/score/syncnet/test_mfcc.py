from __future__ import annotations

import numpy as np
import pytest

from lipstream.score.syncnet.mfcc import COEFFICIENTS, SAMPLE_RATE, mfcc
from tests.media_files import tone


def test_a_hundred_frames_a_second_and_the_last_one_whole() -> None:
    assert mfcc(tone(1.0, SAMPLE_RATE)).shape == (99, COEFFICIENTS)
    for samples, frames in ((400, 1), (401, 2), (560, 2), (100, 1)):
        assert len(mfcc(np.ones(samples, np.float32))) == frames


def test_the_first_coefficient_is_the_energy_in_16_bit_units() -> None:
    loud, quiet = mfcc(tone(0.5, SAMPLE_RATE, level=0.5)), mfcc(tone(0.5, SAMPLE_RATE, level=0.05))
    assert loud[5:-5, 0] - quiet[5:-5, 0] == pytest.approx(np.log(100), abs=0.01)
    assert 15 < loud[10, 0] < 25


def test_silence_has_a_logarithm_too() -> None:
    assert np.isfinite(mfcc(np.zeros(1600, np.float32))).all()


def test_a_frame_is_what_its_definition_says() -> None:
    """The steps of the definition, written out for one frame."""
    samples = (np.random.default_rng(0).standard_normal(400) * 0.1).astype(np.float32)
    scaled = np.round(samples.astype(float) * 32768)
    emphasised = np.concatenate([scaled[:1], scaled[1:] - 0.97 * scaled[:-1]])
    power = np.abs(np.fft.rfft(emphasised, 512)) ** 2 / 512
    mel = [i * 2595 * np.log10(1 + 8000 / 700) / 27 for i in range(28)]
    corners = [int(513 * 700 * (10 ** (m / 2595) - 1) / 16000) for m in mel]
    logs = []
    for low, middle, high in zip(corners, corners[1:], corners[2:], strict=False):
        rising = sum(power[k] * (k - low) / (middle - low) for k in range(low, middle))
        falling = sum(power[k] * (high - k) / (high - middle) for k in range(middle, high))
        logs.append(np.log(rising + falling))
    for order in range(1, 13):
        angles = [np.pi * order * (2 * band + 1) / 52 for band in range(26)]
        plain = np.sqrt(2 / 26) * sum(
            one * np.cos(angle) for one, angle in zip(logs, angles, strict=True)
        )
        lifted = plain * (1 + 11 * np.sin(np.pi * order / 22))
        assert mfcc(samples)[0, order] == pytest.approx(lifted)
