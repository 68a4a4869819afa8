"""Live speech hears what offline speech hears, as far as it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch", reason="Whisper needs torch")

from lipstream.media.audio import AudioChunk
from lipstream.speech.musetalk.audio_windows import AudioWindowEncoder, recent
from lipstream.speech.musetalk.whisper import WhisperDimensions, WhisperEncoder, WhisperSpeech
from lipstream.stream import LipSyncStream
from lipstream.timeline import FEATURE_STEP, FPS, SAMPLE_RATE
from tests.fakes import blank_avatar
from tests.golden_cases.filling import fill_module

if TYPE_CHECKING:
    from lipstream.media.image import Floats

WIDTH, LAYERS = 16, 2
SIZES = WhisperDimensions(steps=1500, width=WIDTH, heads=2, layers=LAYERS, inner=32)


@pytest.fixture(scope="module")
def network() -> WhisperSpeech:
    encoder = WhisperEncoder(SIZES)
    fill_module(encoder)
    return WhisperSpeech(encoder)


@pytest.fixture(scope="module")
def sound() -> Floats:
    """Noise across the end of the first piece, which is silent before."""
    samples = np.random.default_rng(5).normal(0, 0.1, 31 * SAMPLE_RATE).astype(np.float32)
    samples[: 28 * SAMPLE_RATE] = 0
    return samples


def tokens(encoder: AudioWindowEncoder, sound: Floats, chunk: int, first: int) -> Floats:
    """The conditionings of the frames from `first` on, (frames, 10, layers, width)."""
    stream = LipSyncStream(blank_avatar(), encoder, fps=FPS)
    cuts = range(chunk, len(sound), chunk)
    segments = [
        segment
        for piece in np.split(sound, cuts)
        for segment in stream.push(AudioChunk(piece, SAMPLE_RATE))
    ] + stream.end()
    late = [one.context for one in segments if one.context.frames.start >= first]
    rows = np.concatenate([encoder.encode([context])[0] for context in late])
    return rows.reshape(len(rows), 10, LAYERS + 1, WIDTH)


@pytest.mark.slow
def test_live_tokens_are_nearer_to_the_offline_ones_than_a_few_seconds_give(
    network: WhisperSpeech, sound: Floats
) -> None:
    offline = AudioWindowEncoder(network)
    stream = LipSyncStream(blank_avatar(), offline, fps=FPS)
    segments = stream.push(AudioChunk(sound, SAMPLE_RATE)) + stream.end()
    whole = np.concatenate([offline.encode([one.context])[0] for one in segments])
    expected = whole.reshape(len(whole), 10, LAYERS + 1, WIDTH)[740:]

    def distance(encoder: AudioWindowEncoder) -> float:
        """The relative distance of the first layer, which holds the positions."""
        away = tokens(encoder, sound, 8000, 740)[:, :, 0] - expected[:, :, 0]
        return float(np.linalg.norm(away) / np.linalg.norm(expected[:, :, 0]))

    aligned = distance(AudioWindowEncoder.live(network))
    sliding = distance(AudioWindowEncoder(network, recent(), None))
    assert aligned < 0.05 < 0.2 < sliding, (aligned, sliding)


@pytest.mark.slow
def test_chunks_change_nothing_across_the_end_of_a_piece(
    network: WhisperSpeech, sound: Floats
) -> None:
    encoder = AudioWindowEncoder.live(network)
    whole = tokens(encoder, sound, len(sound), 744)
    assert np.array_equal(tokens(encoder, sound, 7777, 744), whole)


def test_a_network_gives_its_last_steps(network: WhisperSpeech, sound: Floats) -> None:
    pieces = [sound[: 100 * FEATURE_STEP], sound[-5 * FEATURE_STEP :]]
    every, last = network.features(pieces), network.features(pieces, 14)
    assert [len(piece) for piece in last] == [14, 5]
    for one, other in zip(every, last, strict=True):
        assert np.array_equal(one[-14:], other)
