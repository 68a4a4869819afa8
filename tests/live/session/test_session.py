"""A session on a clock moved by hand: every sample once, every frame in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipstream.avatar.builder import build_avatar
from lipstream.config import MotionConfig, MuseTalkConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.media.audio import AudioChunk
from lipstream.offline import render_stream
from lipstream.rendering.registry import open_backend
from lipstream.speech.base import Plan
from tests.fakes import blank_avatar, read_blend_weight, read_stripes, stripe_backend
from tests.live.harness import LiveHarness, noise, pieces, resampled

PORTRAIT = Path(__file__).parents[2] / "data" / "portrait.png"
RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)


def test_an_idle_session_gives_a_fresh_frame_and_silence_every_40_ms() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(2_000)
    assert len(recorded.units) == 50 and recorded.in_order()
    assert all(unit.fresh and not unit.speaking for unit in recorded.units)
    assert not any(unit.samples.any() for unit in recorded.units)
    assert set(recorded.blend_weights) == {0.0}
    counts = recorded.session.counts
    assert (counts.units, counts.repeated, counts.late, counts.skipped) == (50, 0, 0, 0)


def test_a_unit_is_not_given_before_its_time() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(100)
    origin = recorded.session._origin
    assert origin is not None
    due = origin + 40 * len(recorded.units)
    assert recorded.session.take(due - 1) is None
    unit = recorded.session.take(due)
    assert unit is not None and unit.index == len(recorded.units)


def test_the_avatars_own_picture_opens_when_drawing_takes_too_long() -> None:
    harness = LiveHarness()
    recorded = harness.open(blank_avatar(frames=3))
    harness.stalled = True
    harness.run(290)
    assert recorded.units == []
    harness.run(50)
    assert len(recorded.units) == 1 and not recorded.units[0].fresh
    assert recorded.units[0].frame.shape == (16, 16, 3)
    harness.stalled = False
    harness.run(400)
    assert recorded.units[-1].fresh


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [0.001, 0.5, 1.23, 2.0])
def test_every_sample_is_played_once_and_every_frame_shown(rate: int, seconds: float) -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    chunk = noise(max(round(seconds * rate), 1), rate)
    recorded.speak(chunk)
    harness.run(round(seconds * 1000) + 1_000)
    expected, played = resampled(chunk), recorded.sound()
    assert np.array_equal(played[: len(expected)], expected)
    assert not played[len(expected) :].any() and len(played) - len(expected) < 1920 + 1920
    speech = [unit for unit in recorded.spoken if read_blend_weight(unit.frame) > 0]
    frames = max(len(chunk) * 25 // rate, 1)
    # The sound may last a part of a unit longer than the last whole frame.
    assert len(recorded.spoken) == max(frames, -(-len(expected) // 1920))
    assert len(speech) in (frames, frames + 1)
    assert recorded.in_order() and all(unit.fresh for unit in recorded.units)
    assert recorded.kinds == ["started", "ended"]
    assert recorded.events[1].played_ms == len(expected) // 48


def test_at_48_khz_what_is_played_is_what_was_pushed() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    chunk = noise(48_000, 48_000)
    recorded.speak(chunk)
    harness.run(2_000)
    pushed = np.rint(chunk.mono() * 32768).astype(np.int16)
    assert np.array_equal(recorded.sound(), pushed)


@settings(max_examples=25)
@given(
    rate=st.sampled_from(RATES),
    samples=st.integers(1, 60_000),
    cuts=st.lists(st.integers(1, 9_000), max_size=12),
    step=st.sampled_from([1, 2, 3]),
    future=st.sampled_from([0, 640, 1280, 1920]),
)
def test_any_chunking_gives_the_same_speech(
    rate: int, samples: int, cuts: list[int], step: int, future: int
) -> None:
    chunk, recordings = noise(samples, rate), []
    for parts in ([chunk], pieces(chunk, cuts)):
        harness = LiveHarness(stripe_backend(Plan(0, step, future)))
        recorded = harness.open()
        harness.run(120)
        with recorded.session.open_utterance(rate) as utterance:
            for part in parts:
                utterance.push(part)
        harness.run(samples * 1000 // rate + 1_500)
        recordings.append(recorded)
    one, other = recordings
    assert np.array_equal(one.sound(), other.sound())
    assert np.array_equal(one.sound()[: len(resampled(chunk))], resampled(chunk))
    played = [[read_stripes(unit.frame)[1] for unit in recorded.spoken] for recorded in recordings]
    assert played[0] == played[1]
    assert one.in_order() and other.in_order()


@settings(max_examples=20)
@given(
    rate=st.sampled_from(RATES),
    steps=st.lists(st.tuples(st.integers(1, 400), st.integers(0, 400)), min_size=1, max_size=12),
)
def test_however_speech_trickles_in_nothing_is_lost(
    rate: int, steps: list[tuple[int, int]]
) -> None:
    """Chunks of so many ms, so many ms apart: faster and slower than they are spoken."""
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(120)
    chunk = noise(sum(length for length, _ in steps) * rate // 1000, rate)
    utterance = recorded.session.open_utterance(rate)
    for part, (_, pause) in zip(
        pieces(chunk, [length * rate // 1000 for length, _ in steps]), steps, strict=False
    ):
        utterance.push(part)
        harness.run(pause // 10 * 10)
    utterance.push(pieces(chunk, [length * rate // 1000 for length, _ in steps])[-1])
    utterance.end()
    harness.run(6_000)
    expected = resampled(chunk)
    assert np.array_equal(recorded.sound()[: len(expected)], expected)
    assert recorded.in_order()
    played = [read_stripes(unit.frame)[1] for unit in recorded.spoken]
    played = [samples for samples in played if samples]  # the tail may be idle already
    assert played == sorted(played)
    assert recorded.kinds == ["started", "ended"]


def test_a_session_may_have_its_own_motion() -> None:
    backend = open_backend("puppet", motion=MotionConfig(blink=False))
    avatar, harness = build_avatar(PORTRAIT), LiveHarness(backend)
    lively, still = harness.open(avatar), harness.open(avatar, motion="still")
    harness.run(600)
    first, last = (still.units[place].frame for place in (2, -1))
    assert np.array_equal(first, last)
    assert not np.array_equal(lively.units[2].frame, lively.units[-1].frame)


def test_a_session_shows_the_frames_that_offline_rendering_shows() -> None:
    """The real puppet, standing still so that only speech tells frames apart."""
    motion = MotionConfig(blink=False, sway=False)
    backend = open_backend("puppet", motion=motion)
    avatar = build_avatar(PORTRAIT)
    times = np.arange(24_000) / 24_000
    sound = 0.5 * np.sin(2 * np.pi * 220 * times) * np.abs(np.sin(9 * times))
    chunk = AudioChunk(sound.astype(np.float32), 24_000)
    offline = [timed.frame for timed in render_stream(Engine(backend), avatar, [chunk])]
    harness = LiveHarness(backend)
    recorded = harness.open(avatar)
    harness.run(200)
    with recorded.session.open_utterance(24_000) as utterance:
        for part in pieces(chunk, [2_400] * 9):
            utterance.push(part)
            harness.run(100)
    harness.run(1_000)
    live = [unit.frame for unit in recorded.spoken]
    assert len(live) == len(offline) == 25
    assert recorded.session.counts.underruns == 0
    for index in range(2, 25):  # before, the conditioning is on its way from rest
        assert np.array_equal(live[index], offline[index])
    rest = recorded.units[0].frame
    assert np.array_equal(recorded.units[-1].frame, rest)
    assert any(not np.array_equal(frame, rest) for frame in live)


@pytest.mark.slow
@pytest.mark.parametrize("look_ahead_ms", [0, 80])
def test_musetalk_talks_live_too(models: Path, look_ahead_ms: int) -> None:
    """Its speech is encoded two frames at a time, its frames are drawn in batches."""
    config = MuseTalkConfig(models, device="cpu", look_ahead_ms=look_ahead_ms)
    backend = open_backend("musetalk", musetalk=config, runtime=RuntimeOptions(live=True))
    avatar = backend.renderer.prepare(build_avatar(PORTRAIT))
    chunk = noise(24_000, 48_000)
    offline = [timed.frame for timed in render_stream(Engine(backend), avatar, [chunk])]
    harness = LiveHarness(backend)
    recorded = harness.open(avatar)
    harness.run(120)
    recorded.speak(chunk)
    harness.run(1_000)
    assert recorded.session.look_ahead_ms == 120 + look_ahead_ms
    assert np.array_equal(recorded.sound()[:24_000], resampled(chunk))
    assert all(unit.fresh for unit in recorded.units)
    assert np.array_equal(recorded.units[0].frame, avatar.frames[0].pixels)
    assert np.array_equal(recorded.units[-1].frame, avatar.frames[0].pixels)
    for unit, frame in zip(recorded.spoken[2:12], offline[2:], strict=True):
        # How many share a batch moves float sums a little, and so a rounded value now and then.
        assert np.abs(unit.frame.astype(int) - frame).max() <= 1


def test_speech_rises_from_rest_and_falls_back_to_it() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    recorded.speak(noise(16_000 * 6 // 5, 16_000))
    harness.run(2_500)
    blend_weights = recorded.blend_weights
    first = blend_weights.index(0.333)
    assert blend_weights[first : first + 2] == [0.333, 0.667]
    assert blend_weights[first + 2 : first + 30] == [1.0] * 28
    assert blend_weights[first + 30 : first + 33] == [0.667, 0.333, 0.0]
    assert [unit.speaking for unit in recorded.units].index(True) == first
    assert set(blend_weights[first + 33 :]) == {0.0}


def test_speech_begins_within_a_few_units_when_it_is_there() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(1_000)
    before = len(recorded.units)
    recorded.speak(noise(48_000, 48_000), end=False)
    harness.run(120)
    assert any(unit.speaking for unit in recorded.units[before : before + 3])


def test_utterances_follow_each_other_with_a_closed_mouth_between() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    chunks = [noise(19_200, 48_000, 1), noise(9_600, 24_000, 2), noise(3_200, 8_000, 3)]
    for chunk in chunks:
        recorded.speak(chunk)
    harness.run(3_000)
    expected = np.concatenate([resampled(chunk) for chunk in chunks])
    assert np.array_equal(recorded.sound(), expected)
    assert recorded.kinds == ["started", "ended"] * 3
    assert [event.utterance for event in recorded.events] == [1, 1, 2, 2, 3, 3]
    assert recorded.in_order()
    changes = np.abs(np.diff(recorded.blend_weights))
    assert changes.max() < 0.34


def test_speech_waits_for_a_picture_but_the_timeline_does_not() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(400)
    harness.stalled = True
    recorded.speak(noise(48_000, 48_000))
    harness.run(400)
    assert not recorded.spoken and len(recorded.units) == 20
    harness.stalled = False
    harness.run(2_000)
    assert np.array_equal(recorded.sound(), resampled(noise(48_000, 48_000)))


def test_each_unit_belongs_to_its_reader() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    recorded.speak(noise(9_600, 48_000))
    harness.run(1_000)
    kept = [(unit.frame.copy(), unit.samples.copy()) for unit in recorded.units]
    harness.run(1_000)
    for unit, (frame, samples) in zip(recorded.units, kept, strict=False):
        assert np.array_equal(unit.frame, frame) and np.array_equal(unit.samples, samples)
        assert unit.samples.shape == (1920,) and unit.samples.dtype == np.int16
