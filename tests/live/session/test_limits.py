"""What a session holds, refuses and forgets."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from lipstream.errors import AudioError, BufferFullError, OptionError
from lipstream.live.session import SessionEvent, SessionLimits
from lipstream.media.audio import AudioChunk
from tests.live.harness import Stage, babble


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
    player.say(babble(48_000, 48_000))
    player.session.close()
    player.session.close()
    assert player.session.closed and player.session.take(10_000) is None
    assert player.session.interrupt() == 0 and player.session.buffered_ms == 0
    player.session.end()
    with pytest.raises(OptionError, match="closed"):
        player.session.push(babble(480, 48_000))
    assert stage.scheduler.step() is False


def test_a_listener_can_be_removed() -> None:
    stage = Stage()
    player = stage.player()
    seen: list[SessionEvent] = []
    remove = player.session.add_listener(seen.append)
    player.say(babble(4_800, 48_000))
    stage.run(600)
    remove()
    remove()
    player.say(babble(4_800, 48_000))
    stage.run(600)
    assert [event.utterance for event in seen] == [1, 1]
    assert len(player.events) == 4
