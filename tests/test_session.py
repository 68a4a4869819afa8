"""A session on a clock moved by hand: every sample once, every frame in its place."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipstream.audio import AudioChunk
from lipstream.avatar.build import build_avatar
from lipstream.config import MotionConfig
from lipstream.engine import Engine
from lipstream.errors import AudioError, BufferFullError, OptionError
from lipstream.offline import render_stream
from lipstream.rendering.backends import Backend, open_backend
from lipstream.session import SessionEvent, SessionLimits
from lipstream.speech.encoder import Plan
from lipstream.timeline import FPS
from tests.fakes import StripeEncoder, blank_avatar, read_strength, read_stripes, stripe_backend
from tests.live import FussyRenderer, Player, Stage, babble, listener_hears, pieces

RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
LIMITS = SessionLimits()


def say(stage: Stage, player: Player, chunk: AudioChunk, end: bool = True) -> None:
    player.session.push(chunk)
    if end:
        player.session.end()


def in_order(player: Player) -> bool:
    """The timeline has no gap, and no picture is out of its place unless it is repeated."""
    indexes = [unit.index for unit in player.units]
    drawn = [read_stripes(unit.frame)[0] for unit in player.units if unit.fresh]
    fresh = [unit.index for unit in player.units if unit.fresh]
    return indexes == list(range(indexes[0], indexes[0] + len(indexes))) and drawn == fresh


# Idle


def test_an_idle_session_gives_a_fresh_frame_and_silence_every_40_ms() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(2_000)
    assert len(player.units) == 50 and in_order(player)
    assert all(unit.fresh and not unit.speaking for unit in player.units)
    assert not any(unit.samples.any() for unit in player.units)
    assert set(player.strengths) == {0.0}
    counts = player.session.counts
    assert (counts.units, counts.repeated, counts.late, counts.skipped) == (50, 0, 0, 0)


def test_a_unit_is_not_given_before_its_time() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(100)
    session, now = player.session, stage.clock.now_ms()
    assert session.take(now) is None
    due = 1_000 + 40 * len(player.units) + stage_start(player)
    assert session.take(due - 1) is None
    unit = session.take(due)
    assert unit is not None and unit.index == len(player.units)


def stage_start(player: Player) -> int:
    """ms from the first tick to the first unit."""
    assert player.session._origin is not None
    return player.session._origin - 1_000


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


# Speech


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [0.001, 0.5, 1.23, 2.0])
def test_every_sample_is_heard_once_and_every_frame_seen(rate: int, seconds: float) -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    chunk = babble(max(round(seconds * rate), 1), rate)
    say(stage, player, chunk)
    stage.run(round(seconds * 1000) + 1_000)
    expected, heard = listener_hears(chunk), player.sound()
    assert np.array_equal(heard[: len(expected)], expected)
    assert not heard[len(expected) :].any() and len(heard) - len(expected) < 1920 + 1920
    speech = [unit for unit in player.spoken if read_strength(unit.frame) > 0]
    frames = max(len(chunk) * 25 // rate, 1)
    # The sound may last a part of a unit longer than the last whole frame.
    assert len(player.spoken) == max(frames, -(-len(expected) // 1920))
    assert len(speech) in (frames, frames + 1)
    assert in_order(player) and all(unit.fresh for unit in player.units)
    assert player.kinds == ["started", "ended"]
    assert player.events[1].played_ms == len(expected) // 48


def test_at_48_khz_what_is_heard_is_what_was_pushed() -> None:
    stage = Stage()
    player = stage.player()
    chunk = babble(48_000, 48_000)
    say(stage, player, chunk)
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
    assert in_order(one) and in_order(other)


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
    assert in_order(player)
    heard = [read_stripes(unit.frame)[1] for unit in player.spoken]
    heard = [samples for samples in heard if samples]  # the tail may be at rest already
    assert heard == sorted(heard)
    assert player.kinds == ["started", "ended"]


def test_a_session_shows_the_frames_that_offline_rendering_shows() -> None:
    """The real puppet, standing still so that only speech tells frames apart."""
    motion = MotionConfig(blink=False, sway=False)
    backend = open_backend("puppet", motion=motion)
    avatar = build_avatar(Path(__file__).parent / "data" / "portrait.png")
    times = np.arange(24_000) / 24_000
    sound = 0.5 * np.sin(2 * np.pi * 220 * times) * np.abs(np.sin(9 * times))
    chunk = AudioChunk.from_pcm(sound.astype(np.float32), 24_000)
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
    for index in range(2, 25):  # before, the mouth is on its way from rest
        assert np.array_equal(live[index], offline[index])
    rest = player.units[0].frame
    assert np.array_equal(player.units[-1].frame, rest)
    opened = np.abs(np.stack(live).astype(int) - rest).sum((1, 2, 3))
    assert opened.max() > 0
    assert 0 < np.abs(live[0].astype(int) - rest).sum() or not offline[0].any()


def test_speech_rises_from_rest_and_falls_back_to_it() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    say(stage, player, babble(16_000 * 6 // 5, 16_000))
    stage.run(2_500)
    strengths = player.strengths
    first = strengths.index(0.333)
    assert strengths[first : first + 2] == [0.333, 0.667]
    assert strengths[first + 2 : first + 30] == [1.0] * 28
    assert strengths[first + 30 : first + 33] == [0.667, 0.333, 0.0]
    assert [unit.speaking for unit in player.units].index(True) == first
    assert set(strengths[first + 33 :]) == {0.0}


def test_speech_begins_within_a_few_units_when_it_is_there() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(1_000)
    before = len(player.units)
    say(stage, player, babble(48_000, 48_000), end=False)
    stage.run(120)
    assert any(unit.speaking for unit in player.units[before : before + 3])


def test_utterances_follow_each_other_with_a_closed_mouth_between() -> None:
    stage = Stage()
    player = stage.player()
    chunks = [babble(19_200, 48_000, 1), babble(9_600, 24_000, 2), babble(3_200, 8_000, 3)]
    for chunk in chunks:
        say(stage, player, chunk)
    stage.run(3_000)
    expected = np.concatenate([listener_hears(chunk) for chunk in chunks])
    assert np.array_equal(player.sound(), expected)
    assert player.kinds == ["started", "ended"] * 3
    assert [event.utterance for event in player.events] == [1, 1, 2, 2, 3, 3]
    assert in_order(player)
    changes = np.abs(np.diff(player.strengths))
    assert changes.max() < 0.34


def test_speech_waits_for_a_picture_but_the_timeline_does_not() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(400)
    stage.stalled = True
    say(stage, player, babble(48_000, 48_000))
    stage.run(400)
    assert not player.spoken and len(player.units) == 20
    stage.stalled = False
    stage.run(2_000)
    assert np.array_equal(player.sound(), listener_hears(babble(48_000, 48_000)))


def test_each_unit_belongs_to_its_reader() -> None:
    stage = Stage()
    player = stage.player()
    say(stage, player, babble(9_600, 48_000))
    stage.run(1_000)
    kept = [(unit.frame.copy(), unit.samples.copy()) for unit in player.units]
    stage.run(1_000)
    for unit, (frame, samples) in zip(player.units, kept, strict=False):
        assert np.array_equal(unit.frame, frame) and np.array_equal(unit.samples, samples)
        assert unit.samples.shape == (1920,) and unit.samples.dtype == np.int16


# Interrupts


@pytest.mark.parametrize("after_ms", [130, 400, 777, 1500])
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_an_interrupt_is_exact_and_at_once(after_ms: int, rate: int) -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    chunk = babble(10 * rate, rate)
    say(stage, player, chunk)
    stage.run(after_ms // 10 * 10)
    units = len(player.units)
    played = player.sound()
    answer = player.session.interrupt()
    assert answer == len(played) // 48
    assert player.session.buffered_ms == 0
    assert player.session.generation == 1
    stage.run(1_000)
    after = player.units[units:]
    assert not any(unit.speaking for unit in after)
    fading = after[0].samples.astype(int)
    assert fading[:960].any() and not fading[960:].any()
    expected = listener_hears(chunk)[len(played) : len(played) + 960].astype(int)
    assert (np.abs(fading[:960]) <= np.abs(expected)).all()
    assert np.array_equal(fading[:10], expected[:10]) or np.abs(fading - 0)[:10].any()
    assert not any(unit.samples.any() for unit in after[1:])
    strengths = [read_strength(unit.frame) for unit in after]
    assert strengths[2:] == [0.0] * len(strengths[2:])
    assert np.array_equal(played, listener_hears(chunk)[: len(played)])
    assert player.events[-1] == SessionEvent("interrupted", 1, answer)
    assert in_order(player)


def test_an_interrupt_forgets_all_that_waits_and_leaves_no_trace() -> None:
    stage = Stage()
    player = stage.player()
    for seed in range(3):
        say(stage, player, babble(48_000, 48_000, seed))
    stage.run(500)
    player.session.interrupt()
    batches = stage.batcher.counts.heard
    stage.run(200)
    assert stage.batcher.counts.heard == batches  # nothing of it is heard any more
    fresh = babble(24_000, 24_000, 9)
    before = len(player.spoken)
    say(stage, player, fresh)
    stage.run(2_000)
    expected = listener_hears(fresh)
    assert np.array_equal(
        np.concatenate([unit.samples for unit in player.spoken[before:]]), expected
    )
    assert player.kinds == ["started", "interrupted", "started", "ended"]
    assert player.events[-1].utterance == 4


def test_late_results_of_an_interrupted_utterance_are_not_shown() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    say(stage, player, babble(96_000, 48_000, 1))
    stage.run(300)
    stage.stalled = True
    stage.run(20)
    player.session.interrupt()
    second = babble(19_200, 48_000, 2)
    say(stage, player, second)
    stage.stalled = False
    before = len(player.units)
    stage.run(1_500)
    said = np.concatenate([unit.samples for unit in player.units[before:] if unit.speaking])
    assert np.array_equal(said, listener_hears(second))


def test_interrupting_silence_changes_nothing() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    assert player.session.interrupt() == 0
    stage.run(200)
    assert player.events == [] and in_order(player)
    assert set(player.strengths) == {0.0} and player.session.counts.interrupts == 0


def test_interrupting_before_the_first_unit_plays_nothing() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    say(stage, player, babble(48_000, 48_000))
    assert player.session.interrupt() == 0
    stage.run(500)
    assert not any(unit.samples.any() for unit in player.units)
    assert player.events == [SessionEvent("interrupted", 1, 0)]


# Holes, late frames, stalls


def test_a_hole_of_two_seconds_is_silence_and_idle_and_loses_nothing() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    chunk = babble(96_000, 48_000)
    first, second = pieces(chunk, [48_000])
    say(stage, player, first, end=False)
    stage.run(3_000)
    say(stage, player, second)
    stage.run(2_000)
    assert np.array_equal(player.sound(), listener_hears(chunk))
    assert player.session.counts.underruns == 1
    assert player.kinds == ["started", "ended"]
    assert in_order(player) and len(player.units) == 5_200 // 40
    spoken = [unit.speaking for unit in player.units]
    begin, stop = spoken.index(True), len(spoken) - spoken[::-1].index(True)
    hole = [index for index in range(begin, stop) if not spoken[index]]
    assert 45 <= len(hole) <= 60 and hole == list(range(hole[0], hole[-1] + 1))
    strengths = player.strengths
    assert np.abs(np.diff(strengths)).max() < 0.34
    assert set(strengths[hole[0] + 4 : hole[-1]]) == {0.0}


@pytest.mark.parametrize("chunk_ms", [20, 60, 100, 200])
def test_speech_in_real_time_has_no_holes(chunk_ms: int) -> None:
    """Also in large chunks: it begins late enough to last until the next one."""
    stage, rate = Stage(), 24_000
    player = stage.player()
    stage.run(200)
    chunk = babble(3 * rate, rate)
    parts = pieces(chunk, [chunk_ms * rate // 1000] * (3_000 // chunk_ms - 1))
    for part in parts:  # each comes when its last sample has been said
        stage.run(chunk_ms)
        player.session.push(part)
    player.session.end()
    stage.run(2_000)
    assert np.array_equal(player.sound(), listener_hears(chunk))
    assert player.session.counts.underruns == 0


def test_a_late_frame_is_repeated_and_dropped_while_the_sound_goes_on() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    chunk = babble(96_000, 48_000)
    say(stage, player, chunk)
    stage.run(600)
    stage.stalled = True
    stage.run(40 * (LIMITS.ahead + 3))  # so many units are drawn ahead, three are missing
    stage.stalled = False
    stage.run(2_000)
    assert np.array_equal(player.sound(), listener_hears(chunk))
    spoken = [unit.speaking for unit in player.units]
    begin, stop = spoken.index(True), len(spoken) - spoken[::-1].index(True)
    assert all(spoken[begin:stop])  # it never paused
    repeated = [unit for unit in player.units if not unit.fresh]
    assert 2 <= len(repeated) <= 4
    counts = player.session.counts
    assert counts.repeated == counts.dropped == len(repeated)
    assert in_order(player)  # no late frame was shown later


def test_too_many_late_frames_make_sound_and_picture_wait() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    chunk = babble(96_000, 48_000)
    say(stage, player, chunk)
    stage.run(600)
    stage.stalled = True
    stage.run(2_000)
    said = len(player.spoken)
    assert said <= 600 // 40 + LIMITS.ahead + LIMITS.patience
    stage.stalled = False
    stage.run(3_000)
    assert np.array_equal(player.sound(), listener_hears(chunk))
    assert player.session.counts.underruns == 1
    assert len(player.units) == 5_800 // 40  # the timeline never waits
    assert in_order(player)


@pytest.mark.parametrize("stall_ms", [50, 100, 150])
def test_a_short_stall_is_caught_up(stall_ms: int) -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    chunk = babble(48_000, 48_000)
    say(stage, player, chunk)
    stage.run(500)
    stage.clock.advance(stall_ms)
    stage.run(1_500)
    assert np.array_equal(player.sound(), listener_hears(chunk))
    assert player.session.counts.skipped == 0
    assert in_order(player)


@pytest.mark.parametrize("stall_ms", [200, 300, 1_000, 60_000])
@pytest.mark.parametrize("moment_ms", [100, 500, 990])
def test_after_a_stall_the_timeline_skips_and_no_word_is_lost(
    stall_ms: int, moment_ms: int
) -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    chunk = babble(48_000, 48_000)
    say(stage, player, chunk)
    stage.run(moment_ms)
    before = len(player.units)
    stage.clock.advance(stall_ms)
    stage.run(2_000)
    assert np.array_equal(player.sound(), listener_hears(chunk))
    indexes = [unit.index for unit in player.units]
    assert indexes == sorted(set(indexes))
    skipped = player.session.counts.skipped
    assert indexes[before] - indexes[before - 1] == skipped + 1
    assert abs(skipped - stall_ms // 40) <= 1
    # Once caught up, every unit is in its place again.
    now = stage.clock.now_ms() - 1_000 - stage_start(player)
    assert indexes[-1] == (now - 10) // 40
    assert player.kinds == ["started", "ended"]


def test_a_stall_while_idle_skips_too() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(400)
    stage.clock.advance(5_000)
    stage.run(400)
    assert player.session.counts.skipped in (124, 125)
    indexes = [unit.index for unit in player.units]
    assert indexes[-1] == (stage.clock.now_ms() - 10 - 1_000 - stage_start(player)) // 40
    assert all(unit.fresh for unit in player.units[-5:])


# Limits and misuse


def test_a_minute_may_wait_and_no_more() -> None:
    stage = Stage()
    player = stage.player()
    session = player.session
    for _ in range(60):
        session.push(babble(16_000, 16_000))
    assert session.buffered_ms == 60_000
    with pytest.raises(BufferFullError, match="60000 ms"):
        session.push(babble(160, 16_000))
    assert session.buffered_ms == 60_000
    session.end()
    stage.run(61_500)
    assert session.buffered_ms == 0
    assert len(player.spoken) == 1_500


def test_tiny_utterances_and_tiny_chunks_are_bounded_too() -> None:
    stage = Stage()
    session = stage.player().session
    with pytest.raises(BufferFullError):
        for _ in range(2_000):
            session.push(babble(1, 48_000))
            session.end()
    assert len(session._speech.waiting) == 1_500
    session.interrupt()
    for _ in range(48_000):
        session.push(AudioChunk(np.zeros((1, 1), np.float32), 48_000))
    assert len(session._speech.waiting[0]._blocks) <= 11


def test_room_is_told_when_there_is_some() -> None:
    async def scenario() -> list[str]:
        stage, seen = Stage(), []
        player = stage.player(limits=SessionLimits(buffer_s=1.0))
        session = player.session
        await session.room(1_000)
        session.push(babble(48_000, 48_000))

        async def more() -> None:
            await session.room(200)
            seen.append("room")
            session.push(babble(9_600, 48_000))

        waiting = asyncio.ensure_future(more())
        await asyncio.sleep(0)
        assert not waiting.done()
        for _ in range(60):
            stage.run(10)
            await asyncio.sleep(0)
        await waiting
        closing = asyncio.ensure_future(session.room(1_000))
        await asyncio.sleep(0)
        session.close()
        await closing
        return seen

    assert asyncio.run(scenario()) == ["room"]


def test_another_rate_needs_another_utterance() -> None:
    stage = Stage()
    player = stage.player()
    player.session.push(babble(1_600, 16_000))
    with pytest.raises(AudioError, match="16000 to 24000 Hz"):
        player.session.push(babble(2_400, 24_000))
    player.session.end()
    player.session.push(babble(2_400, 24_000))
    player.session.end()
    stage.run(1_500)
    assert player.kinds == ["started", "ended"] * 2


def test_ends_without_speech_and_empty_chunks_do_nothing() -> None:
    stage = Stage()
    player = stage.player()
    player.session.end()
    player.session.push(babble(0, 48_000))
    player.session.end()
    stage.run(500)
    assert player.events == [] and player.session.buffered_ms == 0


def test_a_closed_session_is_quiet() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(100)
    say(stage, player, babble(48_000, 48_000))
    player.session.close()
    player.session.close()
    assert player.session.closed and player.session.take(10_000) is None
    assert player.session.interrupt() == 0 and player.session.buffered_ms == 0
    player.session.end()
    with pytest.raises(OptionError, match="closed"):
        player.session.push(babble(480, 48_000))
    assert stage.batcher.step() is False


def test_a_listener_can_be_removed() -> None:
    stage = Stage()
    player = stage.player()
    seen: list[SessionEvent] = []
    remove = player.session.add_listener(seen.append)
    say(stage, player, babble(4_800, 48_000))
    stage.run(600)
    remove()
    remove()
    say(stage, player, babble(4_800, 48_000))
    stage.run(600)
    assert [event.utterance for event in seen] == [1, 1]
    assert len(player.events) == 4


# One misbehaves, the others do not notice


def fussy(renderer: FussyRenderer, encoder: StripeEncoder | None = None) -> Backend:
    return Backend("fussy", encoder or StripeEncoder(), renderer, FPS, 4, "a test")


def test_an_avatar_that_cannot_be_drawn_harms_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad, good = blank_avatar(), blank_avatar()
    stage = Stage(fussy(FussyRenderer(lambda request: request.avatar is bad)))
    with caplog.at_level(logging.CRITICAL):
        players = [stage.player(bad), *(stage.player(good) for _ in range(3))]
        stage.run(200)
        for player in players:
            say(stage, player, babble(24_000, 24_000))
        stage.run(2_500)
    for player in players:
        # Even the bad one is heard; its picture is the avatar's own.
        assert np.array_equal(player.sound(), listener_hears(babble(24_000, 24_000)))
    for player in players[1:]:
        assert all(unit.fresh for unit in player.units) and in_order(player)
        assert player.kinds == ["started", "ended"]
    assert players[0].kinds == ["failed", "started", "failed", "ended"]
    assert not any(unit.fresh for unit in players[0].units)


def test_frames_of_speech_that_fail_are_repeated_and_told_once() -> None:
    logging.getLogger("lipstream.batcher.batcher").disabled = True
    stage = Stage(
        fussy(
            FussyRenderer(
                lambda request: request.strength == 1 and request.conditioning is not None
            )
        )
    )
    player = stage.player()
    stage.run(200)
    say(stage, player, babble(48_000, 48_000))
    stage.run(2_000)
    logging.getLogger("lipstream.batcher.batcher").disabled = False
    assert np.array_equal(player.sound(), listener_hears(babble(48_000, 48_000)))
    assert player.kinds == ["started", "failed", "ended"]
    assert player.session.counts.underruns == 0


def test_speech_that_cannot_be_heard_is_given_up_and_the_next_is_spoken() -> None:
    class Deaf(StripeEncoder):
        def encode(self, contexts: object) -> list[np.ndarray]:
            if self.deaf:
                raise RuntimeError("nothing can be heard")
            return super().encode(contexts)  # type: ignore[arg-type]

        deaf = False

    logging.getLogger("lipstream.batcher.batcher").disabled = True
    encoder = Deaf()
    stage = Stage(fussy(FussyRenderer(lambda request: False), encoder))
    player, other = stage.player(), stage.player()
    stage.run(200)
    say(stage, player, babble(144_000, 48_000), end=False)
    stage.run(400)
    encoder.deaf = True
    stage.run(400)
    encoder.deaf = False
    logging.getLogger("lipstream.batcher.batcher").disabled = False
    assert player.kinds == ["started", "failed"]
    second = babble(9_600, 48_000, 2)
    say(stage, player, second)
    before = len(player.spoken)
    stage.run(1_000)
    said = np.concatenate([unit.samples for unit in player.spoken[before:]])
    assert np.array_equal(said, listener_hears(second))
    assert player.kinds == ["started", "failed", "started", "ended"]
    assert all(unit.fresh for unit in other.units)
    assert in_order(player)
