"""Live speech hears what offline speech hears, as far as it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="Whisper needs torch")

from lipstream.media.audio import AudioChunk
from lipstream.speech.musetalk.audio_windows import AudioWindowEncoder, live_plan
from lipstream.speech.musetalk.backbone import Excerpt
from lipstream.speech.musetalk.whisper import WhisperDimensions, WhisperEncoder, WhisperSpeech
from lipstream.speech.musetalk.windowing import windows
from lipstream.stream import LipSyncStream
from lipstream.timeline import FEATURE_STEP, FPS, SAMPLE_RATE
from tests.fakes import blank_avatar
from tests.golden_cases.filling import fill_module

if TYPE_CHECKING:
    from lipstream.media.image import Floats

WIDTH, LAYERS = 16, 2
LOOK_AHEAD = 80 * SAMPLE_RATE // 1000
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
    sliding = distance(AudioWindowEncoder(network, live_plan(5 * SAMPLE_RATE), None))
    assert aligned < 0.05 < 0.2 < sliding, (aligned, sliding)


@pytest.mark.slow
def test_chunks_change_nothing_across_the_end_of_a_piece(
    network: WhisperSpeech, sound: Floats
) -> None:
    encoder = AudioWindowEncoder.live(network)
    whole = tokens(encoder, sound, len(sound), 744)
    assert np.array_equal(tokens(encoder, sound, 7777, 744), whole)


def test_a_network_gives_its_last_steps(network: WhisperSpeech, sound: Floats) -> None:
    pieces = [Excerpt(sound[: 100 * FEATURE_STEP]), Excerpt(sound[-5 * FEATURE_STEP :])]
    every, last = network.features(pieces), network.features(pieces, 14)
    assert [len(piece) for piece in last] == [14, 5]
    for one, other in zip(every, last, strict=True):
        assert np.array_equal(one[-14:], other)


SMALL = WhisperDimensions(steps=50, width=WIDTH, heads=2, layers=LAYERS, inner=32)  # of 1 s
SECONDS = 1.6


@pytest.fixture(scope="module")
def small() -> WhisperSpeech:
    encoder = WhisperEncoder(SMALL)
    fill_module(encoder)
    return WhisperSpeech(encoder)


def noise(seed: int = 5) -> Floats:
    drawn = np.random.default_rng(seed).normal(0, 0.1, int(SECONDS * SAMPLE_RATE))
    return drawn.astype(np.float32)


@given(
    cuts=st.lists(st.integers(1, int(SECONDS * SAMPLE_RATE) - 1), max_size=6, unique=True),
    context=st.sampled_from([None, SAMPLE_RATE // 4]),
    look_ahead=st.sampled_from([0, 500, LOOK_AHEAD]),
)
@settings(max_examples=15)
def test_chunks_change_nothing(
    small: WhisperSpeech, cuts: list[int], context: int | None, look_ahead: int
) -> None:
    encoder = AudioWindowEncoder.live(small, context=context, look_ahead=look_ahead)
    stream = LipSyncStream(blank_avatar(), encoder)
    segments = [
        segment
        for piece in np.split(noise(), sorted(cuts))
        for segment in stream.push(AudioChunk(piece, SAMPLE_RATE))
    ] + stream.end()
    found = np.concatenate([encoder.encode([one.context])[0] for one in segments])
    whole = tokens(encoder, noise(), int(SECONDS * SAMPLE_RATE), 0)
    assert np.array_equal(found.reshape(whole.shape), whole)


@pytest.mark.parametrize("context", [None, SAMPLE_RATE // 4])
def test_a_segment_hears_its_look_ahead_and_no_more(
    small: WhisperSpeech, context: int | None
) -> None:
    encoder = AudioWindowEncoder.live(small, context=context, look_ahead=LOOK_AHEAD)
    waits = 2 * 640 + 1280 + LOOK_AHEAD  # two frames, the rest of the last one's window
    assert encoder.plan.future == 1280 + LOOK_AHEAD
    stream = LipSyncStream(blank_avatar(), encoder)
    assert stream.push(AudioChunk(noise()[: waits - 1], SAMPLE_RATE)) == []
    assert len(stream.push(AudioChunk(noise()[waits - 1 : waits], SAMPLE_RATE))) == 1

    def first(changed_from: int) -> Floats:
        sound = noise()
        sound[changed_from:] = noise(6)[changed_from:]
        return tokens(encoder, sound, len(sound), 0)[:2]

    heard = first(len(noise()))
    assert np.array_equal(first(waits), heard)
    assert not np.array_equal(first(waits - FEATURE_STEP), heard)


def test_a_short_context_keeps_the_positions_of_its_piece(small: WhisperSpeech) -> None:
    """Steps that both hear whole differ by the mel columns at the start of the excerpt alone."""
    sound = noise()[:SAMPLE_RATE]
    (whole,) = small.features([Excerpt(sound)])
    (late,) = small.features([Excerpt(sound[30 * FEATURE_STEP :], step=30, silence=5)])
    (early,) = small.features([Excerpt(sound[30 * FEATURE_STEP :], silence=5)])
    assert late.shape == early.shape == (20, LAYERS + 1, WIDTH)
    inner = slice(2, -2)
    np.testing.assert_allclose(late[inner, 0], whole[30:][inner, 0], rtol=0, atol=1e-5)
    assert np.abs(early[inner, 0] - whole[30:][inner, 0]).max() > 0.1


def test_excerpts_of_different_places_are_encoded_alone(small: WhisperSpeech) -> None:
    sound = noise()[:SAMPLE_RATE]
    excerpts = [
        Excerpt(sound),
        Excerpt(sound[: 9 * FEATURE_STEP], step=4, silence=5),
        Excerpt(sound[: 9 * FEATURE_STEP], step=36, silence=5),  # room for no more than its piece
        Excerpt(sound[: 9 * FEATURE_STEP], step=20, silence=5),
        Excerpt(sound[: 9 * FEATURE_STEP], step=20),
    ]
    for excerpt, together in zip(excerpts, small.features(excerpts), strict=True):
        np.testing.assert_allclose(small.features([excerpt])[0], together, rtol=0, atol=2e-5)


def test_a_file_is_encoded_in_whole_pieces(small: WhisperSpeech) -> None:
    """The published way: each piece alone, padded, whatever frames are asked for."""
    sound = noise()
    encoder = AudioWindowEncoder(small, piece=small.piece)
    pieces = [Excerpt(sound[:SAMPLE_RATE]), Excerpt(sound[SAMPLE_RATE:])]
    expected = windows(np.concatenate(small.features(pieces)), 0, range(40), FPS)
    stream = LipSyncStream(blank_avatar(), encoder)
    segments = stream.push(AudioChunk(sound, SAMPLE_RATE)) + stream.end()
    found = np.concatenate(encoder.encode([one.context for one in segments]))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
