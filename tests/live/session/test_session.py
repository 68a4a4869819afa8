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
from tests.live.harness import Stage, babble, listener_hears, pieces

PORTRAIT = Path(__file__).parents[2] / "data" / "portrait.png"
RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)


def test_an_idle_session_gives_a_fresh_frame_and_silence_every_40_ms() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(2_000)
    assert len(player.units) == 50 and player.in_order()
    assert all(unit.fresh and not unit.speaking for unit in player.units)
    assert not any(unit.samples.any() for unit in player.units)
    assert set(player.blend_weights) == {0.0}
    counts = player.session.counts
    assert (counts.units, counts.repeated, counts.late, counts.skipped) == (50, 0, 0, 0)


def test_a_unit_is_not_given_before_its_time() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(100)
    origin = player.session._origin
    assert origin is not None
    due = origin + 40 * len(player.units)
    assert player.session.take(due - 1) is None
    unit = player.session.take(due)
    assert unit is not None and unit.index == len(player.units)


def test_the_avatars_own_picture_opens_when_drawing_takes_too_long() -> None:
    stage = Stage()
    player = stage.player(blank_avatar(frames=3))
    stage.stalled = True
    stage.run(290)
    assert player.units == []
    stage.run(50)
    assert len(player.units) == 1 and not player.units[0].fresh
    assert player.units[0].frame.shape == (16, 16, 3)
    stage.stalled = False
    stage.run(400)
    assert player.units[-1].fresh


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [0.001, 0.5, 1.23, 2.0])
def test_every_sample_is_heard_once_and_every_frame_seen(rate: int, seconds: float) -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    chunk = babble(max(round(seconds * rate), 1), rate)
    player.say(chunk)
    stage.run(round(seconds * 1000) + 1_000)
    expected, heard = listener_hears(chunk), player.sound()
    assert np.array_equal(heard[: len(expected)], expected)
    assert not heard[len(expected) :].any() and len(heard) - len(expected) < 1920 + 1920
    speech = [unit for unit in player.spoken if read_blend_weight(unit.frame) > 0]
    frames = max(len(chunk) * 25 // rate, 1)
    # The sound may last a part of a unit longer than the last whole frame.
    assert len(player.spoken) == max(frames, -(-len(expected) // 1920))
    assert len(speech) in (frames, frames + 1)
    assert player.in_order() and all(unit.fresh for unit in player.units)
    assert player.kinds == ["started", "ended"]
    assert player.events[1].played_ms == len(expected) // 48


def test_at_48_khz_what_is_heard_is_what_was_pushed() -> None:
    stage = Stage()
    player = stage.player()
    chunk = babble(48_000, 48_000)
    player.say(chunk)
    stage.run(2_000)
    pushed = np.rint(chunk.mono() * 32768).astype(np.int16)
    assert np.array_equal(player.sound(), pushed)


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
    chunk, said = babble(samples, rate), []
    for parts in ([chunk], pieces(chunk, cuts)):
        stage = Stage(stripe_backend(Plan(0, step, future)))
        player = stage.player()
        stage.run(120)
        for part in parts:
            player.session.push(part)
        player.session.end()
        stage.run(samples * 1000 // rate + 1_500)
        said.append(player)
    one, other = said
    assert np.array_equal(one.sound(), other.sound())
    assert np.array_equal(one.sound()[: len(listener_hears(chunk))], listener_hears(chunk))
    heard = [[read_stripes(unit.frame)[1] for unit in player.spoken] for player in said]
    assert heard[0] == heard[1]
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
    stage = Stage()
    player = stage.player()
    stage.run(120)
    chunk = babble(sum(length for length, _ in steps) * rate // 1000, rate)
    for part, (_, pause) in zip(
        pieces(chunk, [length * rate // 1000 for length, _ in steps]), steps, strict=False
    ):
        player.session.push(part)
        stage.run(pause // 10 * 10)
    player.session.push(pieces(chunk, [length * rate // 1000 for length, _ in steps])[-1])
    player.session.end()
    stage.run(6_000)
    expected = listener_hears(chunk)
    assert np.array_equal(player.sound()[: len(expected)], expected)
    assert player.in_order()
    heard = [read_stripes(unit.frame)[1] for unit in player.spoken]
    heard = [samples for samples in heard if samples]  # the tail may be at rest already
    assert heard == sorted(heard)
    assert player.kinds == ["started", "ended"]


def test_a_session_shows_the_frames_that_offline_rendering_shows() -> None:
    """The real puppet, standing still so that only speech tells frames apart."""
    motion = MotionConfig(blink=False, sway=False)
    backend = open_backend("puppet", motion=motion)
    avatar = build_avatar(PORTRAIT)
    times = np.arange(24_000) / 24_000
    sound = 0.5 * np.sin(2 * np.pi * 220 * times) * np.abs(np.sin(9 * times))
    chunk = AudioChunk(sound.astype(np.float32), 24_000)
    offline = [frame.frame for frame in render_stream(Engine(backend), avatar, [chunk])]
    stage = Stage(backend)
    player = stage.player(avatar)
    stage.run(200)
    for part in pieces(chunk, [2_400] * 9):
        player.session.push(part)
        stage.run(100)
    player.session.end()
    stage.run(1_000)
    live = [unit.frame for unit in player.spoken]
    assert len(live) == len(offline) == 25
    assert player.session.counts.underruns == 0
    for index in range(2, 25):  # before, the conditioning is on its way from rest
        assert np.array_equal(live[index], offline[index])
    rest = player.units[0].frame
    assert np.array_equal(player.units[-1].frame, rest)
    assert any(not np.array_equal(frame, rest) for frame in live)


def test_musetalk_talks_live_too(models: Path) -> None:
    """Its speech is heard two frames at a time, its frames are drawn in batches."""
    backend = open_backend(
        "musetalk", musetalk=MuseTalkConfig(models, device="cpu"), runtime=RuntimeOptions(live=True)
    )
    avatar = backend.renderer.prepare(build_avatar(PORTRAIT))
    chunk = babble(24_000, 48_000)
    offline = [frame.frame for frame in render_stream(Engine(backend), avatar, [chunk])]
    stage = Stage(backend)
    player = stage.player(avatar)
    stage.run(120)
    player.say(chunk)
    stage.run(1_000)
    assert np.array_equal(player.sound()[:24_000], listener_hears(chunk))
    assert all(unit.fresh for unit in player.units)
    assert np.array_equal(player.units[0].frame, avatar.frames[0].pixels)
    assert np.array_equal(player.units[-1].frame, avatar.frames[0].pixels)
    for unit, frame in zip(player.spoken[2:12], offline[2:], strict=True):
        # How many share a batch moves float sums a little, and so a rounded value now and then.
        assert np.abs(unit.frame.astype(int) - frame).max() <= 1


def test_speech_rises_from_rest_and_falls_back_to_it() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    player.say(babble(16_000 * 6 // 5, 16_000))
    stage.run(2_500)
    blend_weights = player.blend_weights
    first = blend_weights.index(0.333)
    assert blend_weights[first : first + 2] == [0.333, 0.667]
    assert blend_weights[first + 2 : first + 30] == [1.0] * 28
    assert blend_weights[first + 30 : first + 33] == [0.667, 0.333, 0.0]
    assert [unit.speaking for unit in player.units].index(True) == first
    assert set(blend_weights[first + 33 :]) == {0.0}


def test_speech_begins_within_a_few_units_when_it_is_there() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(1_000)
    before = len(player.units)
    player.say(babble(48_000, 48_000), end=False)
    stage.run(120)
    assert any(unit.speaking for unit in player.units[before : before + 3])


def test_utterances_follow_each_other_with_a_closed_mouth_between() -> None:
    stage = Stage()
    player = stage.player()
    chunks = [babble(19_200, 48_000, 1), babble(9_600, 24_000, 2), babble(3_200, 8_000, 3)]
    for chunk in chunks:
        player.say(chunk)
    stage.run(3_000)
    expected = np.concatenate([listener_hears(chunk) for chunk in chunks])
    assert np.array_equal(player.sound(), expected)
    assert player.kinds == ["started", "ended"] * 3
    assert [event.utterance for event in player.events] == [1, 1, 2, 2, 3, 3]
    assert player.in_order()
    changes = np.abs(np.diff(player.blend_weights))
    assert changes.max() < 0.34


def test_speech_waits_for_a_picture_but_the_timeline_does_not() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(400)
    stage.stalled = True
    player.say(babble(48_000, 48_000))
    stage.run(400)
    assert not player.spoken and len(player.units) == 20
    stage.stalled = False
    stage.run(2_000)
    assert np.array_equal(player.sound(), listener_hears(babble(48_000, 48_000)))


def test_each_unit_belongs_to_its_reader() -> None:
    stage = Stage()
    player = stage.player()
    player.say(babble(9_600, 48_000))
    stage.run(1_000)
    kept = [(unit.frame.copy(), unit.samples.copy()) for unit in player.units]
    stage.run(1_000)
    for unit, (frame, samples) in zip(player.units, kept, strict=False):
        assert np.array_equal(unit.frame, frame) and np.array_equal(unit.samples, samples)
        assert unit.samples.shape == (1920,) and unit.samples.dtype == np.int16
