"""The bounds of a session, and what it refuses."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from lipstream.errors import AudioError, BufferFullError, OptionError
from lipstream.live.session.types import SessionEvent, SessionLimits
from tests.live.harness import LiveHarness, noise


def test_a_minute_may_wait_and_no_more() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    utterance = recorded.session.open_utterance(16_000)
    for _ in range(60):
        utterance.push(noise(16_000, 16_000))
    assert recorded.session.buffered_ms == utterance.buffered_ms == 60_000
    with pytest.raises(BufferFullError, match="60000 ms"):
        utterance.push(noise(160, 16_000))
    assert utterance.buffered_ms == 60_000
    utterance.end()
    harness.run(61_500)
    assert recorded.session.buffered_ms == 0
    assert len(recorded.spoken) == 1_500


def test_speech_behind_the_first_utterance_never_keeps_it_from_going_on() -> None:
    harness = LiveHarness()
    recorded = harness.open(limits=SessionLimits(buffer_s=1.0))
    first, second, third = (recorded.session.open_utterance(16_000) for _ in range(3))
    third.push(noise(12_800, 16_000))
    second.push(noise(3_200, 16_000))
    with pytest.raises(BufferFullError, match="1000 ms"):
        second.push(noise(160, 16_000))
    first.push(noise(16_000, 16_000))  # a limit of its own
    assert recorded.session.buffered_ms == 2_000
    for utterance in (first, second, third):
        utterance.end()
    harness.run(3_000)
    assert recorded.kinds == ["started", "ended"] * 3


def test_utterances_and_tiny_chunks_are_bounded_too() -> None:
    harness = LiveHarness()
    session = harness.open(limits=SessionLimits(utterances=4)).session
    opened = [session.open_utterance(48_000) for _ in range(4)]
    with pytest.raises(BufferFullError, match="4 utterances"):
        session.open_utterance(48_000)
    opened[2].cancel()
    session.open_utterance(48_000)
    session.interrupt()
    utterance = session.open_utterance(48_000)
    for _ in range(48_000):
        utterance.push(np.zeros(1, np.float32))
    assert len(utterance._buffer._blocks) <= 11


def test_room_to_push_and_to_open_is_waited_for() -> None:
    async def scenario() -> list[str]:
        harness, seen = LiveHarness(), []
        recorded = harness.open(limits=SessionLimits(buffer_s=1.0, utterances=2))
        session = recorded.session
        first, second = session.open_utterance(48_000), session.open_utterance(48_000)
        await first.room(1_000)
        first.push(noise(48_000, 48_000))

        async def push_more() -> None:
            await first.room(200)
            seen.append("room to push")
            first.push(noise(9_600, 48_000))
            first.end()

        async def open_more() -> None:
            await session.room_to_open()
            seen.append("room to open")

        waiting = [asyncio.ensure_future(push_more()), asyncio.ensure_future(open_more())]
        await asyncio.sleep(0)
        assert not seen
        for _ in range(160):
            harness.run(10)
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        second.push(noise(48_000, 48_000))
        closing = asyncio.ensure_future(second.room(1_000))
        await asyncio.sleep(0)
        session.close()
        await closing
        return seen

    assert asyncio.run(scenario()) == ["room to push", "room to open"]


def test_another_rate_needs_another_utterance() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    first = recorded.session.open_utterance(16_000)
    first.push(noise(1_600, 16_000))
    with pytest.raises(AudioError, match="opened at 16000 Hz; .* 24000 Hz"):
        first.push(noise(2_400, 24_000))
    first.end()
    recorded.speak(noise(2_400, 24_000))
    harness.run(1_500)
    assert recorded.kinds == ["started", "ended"] * 2
    with pytest.raises(AudioError, match="5 Hz"):
        recorded.session.open_utterance(5)


def test_an_utterance_without_sound_ends_in_its_turn() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    recorded.speak(noise(4_800, 48_000))
    recorded.speak(noise(0, 48_000))
    assert recorded.events == []
    harness.run(1_000)
    assert recorded.kinds == ["started", "ended", "ended"]
    assert recorded.events[-1] == SessionEvent("ended", 2, 0)


def test_an_ended_utterance_takes_nothing_more() -> None:
    harness = LiveHarness()
    utterance = harness.open().speak(noise(4_800, 48_000))
    utterance.end()
    with pytest.raises(OptionError, match="utterance 1 has ended"):
        utterance.push(noise(480, 48_000))
    harness.run(1_000)
    with pytest.raises(OptionError, match="utterance 1 has ended"):
        utterance.push(noise(480, 48_000))


def test_a_closed_session_is_quiet() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(100)
    utterance = recorded.speak(noise(48_000, 48_000), end=False)
    recorded.session.close()
    recorded.session.close()
    assert recorded.session.closed and recorded.session.take(10_000) is None
    assert recorded.session.interrupt() == 0 and recorded.session.buffered_ms == 0
    assert recorded.events == [SessionEvent("interrupted", 1, 0)]
    utterance.push(noise(480, 48_000))  # its owner may not know yet
    utterance.end()
    assert utterance.state == "cancelled" and utterance.buffered_ms == 0
    with pytest.raises(OptionError, match="closed"):
        recorded.session.open_utterance(48_000)
    assert harness.scheduler.step() is False


def test_a_listener_can_be_removed() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    seen: list[SessionEvent] = []
    remove = recorded.session.add_listener(seen.append)
    recorded.speak(noise(4_800, 48_000))
    harness.run(600)
    remove()
    remove()
    recorded.speak(noise(4_800, 48_000))
    harness.run(600)
    assert [event.utterance for event in seen] == [1, 1]
    assert len(recorded.events) == 4


def test_a_block_closes_its_session_and_values_are_shown_in_one_line() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    with recorded.session as session:
        assert repr(session) == "Session(idle, 0 ms buffered)"
        utterance = session.open_utterance(16_000)
        utterance.push(np.zeros(1_600, np.float32))
        assert repr(session) == "Session(idle, 100 ms buffered)"
        harness.run(100)
        assert repr(recorded.units[0]) == "Unit(index=0, speaking=False, fresh=True)"
    assert session.closed and repr(session) == "Session(closed, 0 ms buffered)"
    assert repr(utterance) == "<Utterance 1: cancelled, 0 ms played>"
