from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lipstream.speech.articulation.encoder import ArticulationEncoder
from lipstream.speech.articulation.network import CLOSE, JAW, PARAMETERS, ROUND, TUCK, WIDE
from lipstream.timeline import SAMPLE_RATE, frame_count, frame_start
from tests.speech.articulation.networks import noise, small, syllables

FPS = Fraction(25)


@pytest.fixture(scope="module")
def encoder() -> ArticulationEncoder:
    return ArticulationEncoder.from_file()


def poses(
    encoder: ArticulationEncoder, samples: NDArray[np.float32], fps: Fraction = FPS
) -> NDArray[np.float32]:
    """All frames of `samples` in one call."""
    frames = frame_count(len(samples), SAMPLE_RATE, fps)
    tail = np.zeros(encoder.plan.future, np.float32)
    return encoder.open(fps).advance(np.concatenate((samples, tail)), range(frames))


def gap(pose: NDArray[np.float32]) -> NDArray[np.float32]:
    """The lip gap that the puppet shows."""
    opened = pose[:, JAW] * (1 - 0.35 * pose[:, ROUND]) * (1 - 0.75 * pose[:, TUCK])
    return np.asarray(opened * (1 - np.clip(pose[:, CLOSE] * 1.5 - 0.15, 0, 1)))


def test_a_frame_is_seven_parameters_within_zero_and_one(encoder: ArticulationEncoder) -> None:
    pose = poses(encoder, syllables(2.0))
    assert pose.shape == (50, len(PARAMETERS))
    assert pose.dtype == np.float32
    assert pose.min() >= 0 and pose.max() <= 1


def test_speech_moves_the_mouth(encoder: ArticulationEncoder) -> None:
    opening = gap(poses(encoder, syllables(3.0)))
    assert np.percentile(opening, 95) > 0.2


@settings(deadline=None, max_examples=20)
@given(
    cuts=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    fps=st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(12), Fraction(60)]),
)
def test_any_cut_into_calls_gives_the_same_bits(cuts: list[int], fps: Fraction) -> None:
    encoder = ArticulationEncoder(small())
    samples = syllables(1.2)
    frames = frame_count(len(samples), SAMPLE_RATE, fps)
    whole = poses(encoder, samples, fps)
    state = encoder.open(fps)
    padded = np.concatenate((samples, np.zeros(encoder.plan.future, np.float32)))
    pieces, taken, done, turn = [], 0, 0, 0
    while done < frames:
        stop = min(done + cuts[turn % len(cuts)], frames)
        reach = frame_start(stop, fps) + encoder.plan.future
        pieces.append(state.advance(padded[taken:reach], range(done, stop)))
        taken, done, turn = reach, stop, turn + 1
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_streams_do_not_share_state(encoder: ArticulationEncoder) -> None:
    samples = syllables(1.0)
    alone = poses(encoder, samples)
    one, other = encoder.open(FPS), encoder.open(FPS)
    future = encoder.plan.future
    padded = np.concatenate((samples, np.zeros(future, np.float32)))
    rows = [one.advance(padded[: 640 + future], range(1))]
    for frame in range(1, 25):
        other.advance(noise(0.04, 0.1, seed=frame), range(0))
        start = frame * 640 + future
        rows.append(one.advance(padded[start : start + 640], range(frame, frame + 1)))
    np.testing.assert_array_equal(np.concatenate(rows), alone)


def test_a_frame_needs_no_more_than_the_plan_says(encoder: ArticulationEncoder) -> None:
    samples = syllables(2.0)
    reach = frame_start(10, FPS) + encoder.plan.future
    changed = samples.copy()
    changed[reach:] = 0.5
    np.testing.assert_array_equal(poses(encoder, samples)[:10], poses(encoder, changed)[:10])


def test_frames_are_requested_in_order(encoder: ArticulationEncoder) -> None:
    with pytest.raises(AssertionError, match="frame 3 requested, frame 0 is due"):
        encoder.open(FPS).advance(np.zeros(8000, np.float32), range(3, 4))


@pytest.mark.parametrize("fps", [Fraction(1), Fraction(24000, 1001), Fraction(50), Fraction(60)])
def test_every_rate_gives_every_frame(encoder: ArticulationEncoder, fps: Fraction) -> None:
    samples = syllables(2.0)
    pose = poses(encoder, samples, fps)
    assert len(pose) == frame_count(len(samples), SAMPLE_RATE, fps)
    assert np.isfinite(pose).all()


def test_rates_agree_on_the_mouth(encoder: ArticulationEncoder) -> None:
    samples = syllables(4.0)
    slow, fast = gap(poses(encoder, samples)), gap(poses(encoder, samples, Fraction(50)))
    assert np.corrcoef(slow, fast.reshape(-1, 2).mean(axis=1))[0, 1] > 0.95


def test_the_jaw_and_lips_move_no_faster_than_lips_do(encoder: ArticulationEncoder) -> None:
    steps = np.diff(poses(encoder, syllables(4.0)), axis=0)
    assert steps[:, JAW].max() <= 0.5 + 1e-6 and steps[:, JAW].min() >= -0.45 - 1e-6
    assert np.abs(steps[:, [ROUND, WIDE]]).max() <= 0.35 + 1e-6


def test_encoding_passes_the_poses_through(encoder: ArticulationEncoder) -> None:
    contexts = [np.ones((2, 7), np.float32), np.zeros((1, 7), np.float32)]
    for given_, passed in zip(contexts, encoder.encode(contexts), strict=True):
        np.testing.assert_array_equal(given_, passed)


def hum(seconds: float) -> NDArray[np.float32]:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    waves = [np.sin(2 * np.pi * 50 * k * times) / k for k in (1, 2, 3, 5)]
    return np.asarray(0.05 * np.sum(waves, axis=0), np.float32)


QUIET = {
    "digital silence": np.zeros(3 * SAMPLE_RATE, np.float32),
    "room noise": noise(3.0, 10 ** (-60 / 20)),
    "loud pink noise": noise(3.0, 10 ** (-26 / 20), pink=True),
    "-30 dBFS noise": noise(3.0, 10 ** (-30 / 20)),
    "mains hum": hum(3.0),
    "noise that begins": np.concatenate((np.zeros(16000, np.float32), noise(3.0, 0.03))),
}


@pytest.mark.parametrize("name", QUIET)
def test_what_is_no_speech_keeps_the_mouth_shut(encoder: ArticulationEncoder, name: str) -> None:
    pose = poses(encoder, QUIET[name])
    assert gap(pose).mean() <= 0.02
    assert np.abs(np.diff(gap(pose))).max() <= 0.1, "the mouth flutters"


def test_the_mouth_shuts_after_speech_and_stays_shut(encoder: ArticulationEncoder) -> None:
    pose = poses(encoder, np.concatenate((syllables(2.0), noise(2.0, 1e-3))))
    assert gap(pose)[60:].max() <= 0.02


@pytest.mark.parametrize("level", [-42.0, -14.0])
def test_the_gate_spares_quiet_speech(encoder: ArticulationEncoder, level: float) -> None:
    loud, quiet = syllables(4.0, 0.1), syllables(4.0, 10 ** (level / 20))
    assert np.corrcoef(gap(poses(encoder, loud)), gap(poses(encoder, quiet)))[0, 1] > 0.9


def test_the_gate_spares_speech_in_noise(encoder: ArticulationEncoder) -> None:
    speech = syllables(4.0, 0.05)
    noisy = speech + noise(4.0, 0.05 * 10 ** (-10 / 20))
    clean, gated = gap(poses(encoder, speech)), gap(poses(encoder, noisy))
    assert np.corrcoef(clean, gated)[0, 1] > 0.7
    assert np.percentile(gated, 95) > 0.6 * np.percentile(clean, 95)
