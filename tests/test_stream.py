"""A stream cuts by frame number: however audio arrives, the segments are the same."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.errors import AudioError, OptionError
from lipstream.media.audio import AudioChunk
from lipstream.speech.base import Plan
from lipstream.stream import LipSyncStream, Segment
from lipstream.timeline import FPS, frame_count
from tests.fakes import StripeEncoder, blank_avatar

RATES = (8000, 16000, 22050, 24000, 44100, 48000)
AVATAR = blank_avatar()


def noise(samples: int, rate: int, seed: int = 0) -> AudioChunk:
    pcm = np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)
    return AudioChunk(pcm, rate)


def run(
    audio: AudioChunk, cuts: list[int], plan: Plan, fps: Fraction = FPS, first: int = 0
) -> list[Segment]:
    stream = LipSyncStream(AVATAR, StripeEncoder(plan), fps=fps, first_frame=first)
    segments: list[Segment] = []
    edges = [0, *sorted(min(cut, len(audio)) for cut in cuts), len(audio)]
    for start, stop in zip(edges, edges[1:], strict=False):
        segments += stream.push(AudioChunk(audio.samples[start:stop], audio.sample_rate))
    return segments + stream.end()


@given(
    samples=st.integers(1, 12_000),
    rate=st.sampled_from(RATES),
    cuts=st.lists(st.integers(0, 12_000), max_size=8),
    step=st.integers(1, 7),
    future=st.sampled_from([0, 1, 320, 960, 1280]),
    fps=st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(12), Fraction(60)]),
)
def test_any_chunking_gives_the_same_segments(
    samples: int, rate: int, cuts: list[int], step: int, future: int, fps: Fraction
) -> None:
    audio, plan = noise(samples, rate), Plan(0, step, future)
    whole, pieces = run(audio, [], plan, fps), run(audio, cuts, plan, fps)
    assert [s.first_frame for s in whole] == [s.first_frame for s in pieces]
    assert [s.frame_count for s in whole] == [s.frame_count for s in pieces]
    for one, other in zip(whole, pieces, strict=True):
        assert np.array_equal(one.context, other.context)
    assert sum(s.frame_count for s in whole) == frame_count(samples, rate, fps)


@given(samples=st.integers(1, 200_000), rate=st.sampled_from(RATES))
def test_every_length_gives_its_exact_number_of_frames(samples: int, rate: int) -> None:
    segments = run(noise(samples, rate), [], Plan(0, 1, 960))
    assert sum(s.frame_count for s in segments) == max(1, samples * 25 // rate)


def test_frames_come_as_soon_as_their_look_ahead_is_there() -> None:
    stream = LipSyncStream(AVATAR, StripeEncoder(Plan(0, 1, 960)))
    audio = noise(16_000, 16_000)
    assert stream.push(AudioChunk(audio.samples[: 640 + 959], 16_000)) == []
    (first,) = stream.push(AudioChunk(audio.samples[640 + 959 : 640 + 960], 16_000))
    assert (first.first_frame, first.frame_count) == (0, 1)


def test_the_example_of_the_docstring() -> None:
    stream, half = LipSyncStream(AVATAR, StripeEncoder(Plan(0, 2, 960))), noise(1600, 16_000)
    cuts = [
        [(s.first_frame, s.frame_count) for s in segments]
        for segments in (stream.push(half), stream.push(half), stream.end())
    ]
    assert cuts == [[], [(0, 2)], [(2, 2), (4, 1)]]


def test_a_hundred_milliseconds_give_two_or_three_frames_and_lose_none() -> None:
    stream = LipSyncStream(AVATAR, StripeEncoder(Plan(0, 1, 0)))
    audio = noise(16_000, 16_000)
    counts = []
    for start in range(0, 16_000, 1600):
        chunk = AudioChunk(audio.samples[start : start + 1600], 16_000)
        counts.append(sum(s.frame_count for s in stream.push(chunk)))
    assert counts == [2, 3] * 5
    assert stream.end() == []


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
@pytest.mark.parametrize("step", [1, 2, 5])
def test_push_now_gives_the_chunks_own_span_at_once(rate: int, step: int) -> None:
    stream = LipSyncStream(AVATAR, StripeEncoder(Plan(0, step, 1280)))
    audio, seen, counts = noise(rate, rate), [], []
    for start in range(0, rate, rate // 10):
        chunk = AudioChunk(audio.samples[start : start + rate // 10], rate)
        segments = stream.push_now(chunk)
        seen += [s.first_frame + k for s in segments for k in range(s.frame_count)]
        counts.append(sum(s.frame_count for s in segments))
    assert counts == [2, 3] * 5
    assert seen == list(range(25))
    assert stream.end() == []


def test_push_now_sees_what_push_sees_but_silence_instead_of_the_future() -> None:
    plan = Plan(0, 1, 1280)
    audio = noise(8000, 24_000)
    now = LipSyncStream(AVATAR, StripeEncoder(plan)).push_now(audio)
    later = run(audio, [], plan)
    rows = np.concatenate([segment.context for segment in now])
    patient = np.concatenate([segment.context for segment in later])
    # Column 2 is the sum of the frame's own samples: all of them are there already.
    assert np.allclose(rows[:, 2], patient[: len(rows), 2], atol=1e-3)


def test_a_stream_shorter_than_a_frame_has_one_with_push_now_too() -> None:
    stream = LipSyncStream(AVATAR, StripeEncoder())
    assert stream.push_now(noise(100, 16_000)) == []
    assert [s.frame_count for s in stream.end()] == [1]


def test_segments_carry_their_place() -> None:
    stream = LipSyncStream(AVATAR, StripeEncoder(Plan(0, 2, 0)), first_frame=100)
    segments = stream.push(noise(16_000, 16_000)) + stream.end()
    assert [s.first_frame for s in segments] == [*range(100, 124, 2), 124]
    assert [s.frame_count for s in segments] == [2] * 12 + [1]


def test_stereo_counts_as_its_mean() -> None:
    left, right = noise(16_000, 16_000, 1).samples, noise(16_000, 16_000, 2).samples
    both = AudioChunk(np.hstack([left, right]), 16_000)
    mean = AudioChunk((left + right) / 2, 16_000)
    for one, other in zip(run(both, [], Plan(0, 1, 0)), run(mean, [], Plan(0, 1, 0)), strict=True):
        assert np.array_equal(one.context, other.context)


def test_a_stream_without_audio_has_no_frames() -> None:
    assert LipSyncStream(AVATAR, StripeEncoder()).end() == []


def test_misuse_is_refused_in_words() -> None:
    stream = LipSyncStream(AVATAR, StripeEncoder())
    stream.push(noise(100, 16_000))
    with pytest.raises(AudioError, match="changed from 16000 to 24000"):
        stream.push(noise(100, 24_000))
    stream.end()
    with pytest.raises(OptionError, match="has ended"):
        stream.push(noise(100, 16_000))
