"""Sound without an end becomes utterances: by pauses, by SKIP and by what plays at once."""

from __future__ import annotations

import asyncio

import pytest

from lipstream.server.dialects.simli import speech_input
from tests.server.app_client import AppClient, run_client, settle, until
from tests.server.dialects.simli.conversation import start
from tests.server.fake_runtime import FakeSession
from tests.server.sources import counting

SECOND = 16_000  # samples


@pytest.fixture
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_input, "PAUSE_MS", 10)


async def taken(session: FakeSession, samples: int) -> None:
    await until(lambda: session.pushed >= samples)


@pytest.mark.parametrize("size", [1, 5_999, 6_000, 70_001])
def test_every_sample_arrives_however_it_is_cut(size: int) -> None:
    async def test(client: AppClient) -> None:
        socket, session = await start(client)
        pcm = counting(min(SECOND, 400 * size))[2:]  # which begins with a zero
        for begin in range(0, len(pcm), size):
            await socket.send(pcm[begin : begin + size])
        await taken(session, len(pcm) // 2)
        assert len(session.utterances) == 1 and session.rates == [SECOND]
        assert b"".join(value.to_bytes(2, "little") for value in session.samples) == pcm
        await socket.leave()

    run_client(test)


@pytest.mark.usefixtures("short_pause")
def test_a_pause_ends_an_utterance_when_it_is_nearly_played() -> None:
    async def test(client: AppClient) -> None:
        socket, session = await start(client)
        await socket.send(counting(SECOND // 10))
        await taken(session, SECOND // 10)
        await until(lambda: session.ends == 1)
        await socket.send(counting(SECOND // 10))
        await until(lambda: len(session.utterances) == 2)
        await socket.leave()

    run_client(test)


@pytest.mark.usefixtures("short_pause")
def test_a_pause_of_who_sends_ahead_of_time_is_none() -> None:
    async def test(client: AppClient) -> None:
        socket, session = await start(client)
        await socket.send(counting(5 * SECOND)[: 60_000 * 2])
        await taken(session, 60_000)
        await asyncio.sleep(0.03)  # longer than the pause
        await socket.send(counting(100))
        await taken(session, 60_100)
        assert len(session.utterances) == 1 and session.ends == 0
        await socket.leave()

    run_client(test)


def test_silence_alone_is_no_speech() -> None:
    async def test(client: AppClient) -> None:
        socket, session = await start(client)
        await socket.send(bytes(6_000))
        assert await socket.receive_text() == "ACK"
        assert not session.utterances
        await socket.send(counting(100))
        await socket.send(bytes(200))  # within speech it is a part of it
        await taken(session, 200)
        assert len(session.utterances) == 1
        await socket.leave()

    run_client(test)


@pytest.mark.parametrize("skip", ["SKIP", b"SKIP"])
def test_a_skip_drops_everything_and_speech_goes_on_anew(skip: str | bytes) -> None:
    async def test(client: AppClient) -> None:
        socket, session = await start(client)
        await socket.send(counting(SECOND)[:-1])
        await taken(session, SECOND - 1)
        await socket.send(skip)
        await socket.send(counting(100))
        await taken(session, SECOND + 99)
        first, second = session.utterances
        assert first.state == "cancelled" and len(second.samples) == 100
        await socket.leave()

    run_client(test)


def test_a_skip_does_not_wait_behind_speech_for_which_there_is_no_room() -> None:
    async def test(client: AppClient) -> None:
        socket, session = await start(client)
        session.keeps = False
        for _ in range(40):  # 80 s, of which 60 s have room
            await socket.send(b"\1\0" * 2 * SECOND)
        await until(lambda: session.buffered_ms == 60_000)
        await socket.send("SKIP")
        await until(lambda: session.utterances[0].state == "cancelled")
        await settle()
        assert session.buffered_ms == 0 and len(session.utterances) == 1
        await socket.leave()

    run_client(test)


def test_what_plays_at_once_takes_the_place_of_what_plays() -> None:
    async def test(client: AppClient) -> None:
        socket, session = await start(client)
        await socket.send(counting(100))
        await taken(session, 100)
        await socket.send(b"PLAY_IMMEDIATE" + counting(64_000)[:128_000])
        await socket.send(counting(50))
        await taken(session, 64_150)
        first, second = session.utterances
        assert first.state == "cancelled" and len(second.samples) == 64_050
        await socket.leave()

    run_client(test)


def test_speech_that_somebody_else_interrupts_is_dropped_up_to_its_pause() -> None:
    async def test(client: AppClient) -> None:
        socket, session = await start(client)
        await socket.send(counting(100))
        await taken(session, 100)
        session.interrupt()
        await socket.send(counting(100))
        await settle()
        assert session.pushed == 100 and len(session.utterances) == 1
        await socket.leave()

    run_client(test)
