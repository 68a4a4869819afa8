"""Speech by WebSocket: every sample arrives once, in the utterance that it was sent for."""

from __future__ import annotations

import asyncio
import json

import pytest

from lipstream.server.api.audio_socket import RATES
from lipstream.server.sessions.session import ServerSession
from lipstream.server.settings import ServeSettings
from tests.server.app_client import AppClient, run_client, settle
from tests.server.fake_runtime import session_event
from tests.server.sources import counting

SECOND = 24_000  # samples at the usual rate


@pytest.mark.parametrize("rate", RATES)
def test_all_rates_are_taken(rate: int) -> None:
    async def test(client: AppClient) -> None:
        socket = await client.open_socket(await client.open(), rate)
        await socket.send(counting(rate // 10))
        await socket.leave()
        assert set(client.runtime.sessions[0].rates) == {rate}

    run_client(test)


@pytest.mark.parametrize("rate", ["", "0", "-1", "24001", "22050.0", "high", "9" * 5000])
def test_other_rates_are_refused(rate: str) -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        socket = client.socket(f"{made['audio_url']}?sample_rate={rate}")
        assert not await socket.open()
        assert socket.status == 422
        assert "use 8000, 16000" in json.loads(socket.body)["error"]["message"]

    run_client(test)


def test_a_session_that_is_not_there_is_refused() -> None:
    async def test(client: AppClient) -> None:
        socket = client.socket(f"/v1/sessions/{'0' * 32}/audio")
        assert not await socket.open()
        assert socket.status == 404
        assert json.loads(socket.body)["error"]["code"] == "not_found"

    run_client(test)


@pytest.mark.parametrize("size", [1, 3, 7, 4801, 65_535])
def test_samples_may_be_cut_anywhere(size: int) -> None:
    async def test(client: AppClient) -> None:
        pcm = counting(min(20_000, 500 * size))
        socket = await client.open_socket(await client.open())
        for start in range(0, len(pcm), size):
            await socket.send(pcm[start : start + size])
            await socket.send(b"")
        await socket.send({"type": "end"})
        await socket.leave()
        session = client.runtime.sessions[0]
        assert session.samples == list(range(len(pcm) // 2)) and session.ends == 1

    run_client(test)


def test_half_a_sample_at_the_end_is_left_out() -> None:
    async def test(client: AppClient) -> None:
        socket = await client.open_socket(await client.open())
        await socket.send(counting(2) + b"\x7f")
        await socket.send({"type": "end"})
        await socket.send(counting(2, 10))
        await socket.leave()
        session = client.runtime.sessions[0]
        assert session.samples == [0, 1, 10, 11] and session.ends == 2

    run_client(test)


@pytest.mark.parametrize("spoken", [True, False])
def test_a_socket_that_closes_in_mid_sentence_ends_the_sentence(spoken: bool) -> None:
    async def test(client: AppClient) -> None:
        socket = await client.open_socket(await client.open())
        if spoken:
            await socket.send(counting(SECOND))
        await socket.leave()
        assert client.runtime.sessions[0].ends == spoken
        assert len(client.manager) == 1

    run_client(test)


def test_events_are_sent() -> None:
    async def test(client: AppClient) -> None:
        socket = await client.open_socket(await client.open())
        session = client.runtime.sessions[0]
        session.emit(session_event("started", 3))
        session.emit(session_event("interrupted", 3, 240))
        session.emit(session_event("ended", 4, 900))
        session.emit(session_event("failed", 5, 40))
        session.emit(session_event("render_failed", 6, 80))
        assert await socket.next_event() == {"type": "started", "utterance": 3, "played_ms": 0}
        assert await socket.next_event() == {
            "type": "interrupted",
            "utterance": 3,
            "played_ms": 240,
        }
        assert await socket.next_event() == {"type": "ended", "utterance": 4, "played_ms": 900}
        assert await socket.next_event() == {"type": "failed", "utterance": 5, "played_ms": 40}
        error = await socket.next_event()
        assert (error["type"], error["code"], error["utterance"]) == ("error", "render_failed", 6)
        await socket.leave()

    run_client(test)


def test_the_buffered_time_is_sent_a_few_times_a_second() -> None:
    async def test(client: AppClient) -> None:
        socket = await client.open_socket(await client.open())
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(50):
            await socket.send(counting(SECOND // 10))
        assert await socket.receive() == {"type": "queued", "utterance": 1}
        events = [await socket.receive()]
        while events[-1]["ms"] < 5_000:
            events.append(await socket.receive())
        assert {event["type"] for event in events} == {"buffered"}
        assert len(events) <= 1 + (loop.time() - began) / 0.25
        await socket.leave()

    run_client(test)


def test_an_interrupt_is_always_answered() -> None:
    async def test(client: AppClient) -> None:
        socket = await client.open_socket(await client.open())
        await socket.send(counting(SECOND) + b"\x01")
        await socket.send({"type": "interrupt"})
        assert await socket.next_event() == {"type": "queued", "utterance": 1}
        event = {"type": "interrupted", "utterance": 1, "played_ms": 0}
        assert await socket.next_event() == event
        await socket.send({"type": "interrupt"})  # there is nothing left
        assert await socket.next_event() == {"type": "interrupted", "played_ms": 120}
        await socket.send(counting(2))
        await socket.leave()
        session = client.runtime.sessions[0]
        assert session.counts.interrupts == 2
        assert session.samples[-2:] == [0, 1]  # the odd byte went with the rest

    run_client(test)


@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_a_replaced_socket_cannot_touch_the_words_of_its_successor(rate: int) -> None:
    """Its utterance ends at the hand-over, before the new socket is read."""

    async def test(client: AppClient) -> None:
        made = await client.open()
        first = await client.open_socket(made)
        await first.send(counting(10))
        await settle()
        second = await client.open_socket(made, rate)
        assert client.runtime.sessions[0].ends == 1
        await second.send(counting(10, 100))
        assert (await first.next_event())["type"] == "queued"
        assert await first.next_event() == {"type": "close", "code": 1008}
        await first.leave()
        await second.send(counting(10, 110))
        await second.send({"type": "end"})
        await second.leave()
        old, new = client.runtime.sessions[0].utterances
        assert old.samples == list(range(10)) and new.samples == list(range(100, 120))
        assert new.sample_rate == rate and new.ended

    run_client(test)


@pytest.mark.parametrize("ends_with", ["end", "interrupt"])
def test_the_rest_of_an_utterance_that_another_client_interrupted_is_dropped(
    ends_with: str,
) -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        socket = await client.open_socket(made)
        await socket.send(counting(10))
        await settle()
        await client.http.post(f"/v1/sessions/{made['id']}/interrupt")
        await socket.send(counting(10, 10))
        await socket.send({"type": ends_with})
        await socket.send(counting(10, 20))
        await socket.leave()
        old, new = client.runtime.sessions[0].utterances
        assert old.samples == list(range(10)) and new.samples == list(range(20, 30))
        assert old.state == "cancelled" and new.ended

    run_client(test)


def test_the_end_of_a_session_ends_its_socket() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        socket = await client.open_socket(made)
        await socket.send(counting(10))
        await client.http.delete(f"/v1/sessions/{made['id']}")
        assert (await socket.next_event())["type"] == "queued"
        assert await socket.next_event() == {"type": "close", "code": 1001}
        await socket.leave()

    run_client(test)


def test_the_token_comes_as_a_subprotocol() -> None:
    async def test(client: AppClient) -> None:
        client.http.headers["Authorization"] = "Bearer right-token"
        made = await client.open()
        socket = client.socket(made["audio_url"])
        socket.protocols = ("lipstream", "bearer.right-token")
        assert await socket.open()
        assert socket.accepted == "bearer.right-token"
        await socket.leave()

    run_client(test, ServeSettings(token="right-token", rate=0))


def test_speaking_keeps_a_session() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        await client.connect(made)
        socket = await client.open_socket(made)
        session: ServerSession = client.session(made)
        await client.pass_time(50)
        before = session.deadline_ms
        await socket.send(counting(10))
        await socket.send({"type": "end"})
        await socket.leave()
        client.runtime.sessions[0].play(1_000)
        assert session.deadline_ms > before

    run_client(test, ServeSettings(rate=0, idle_timeout_s=60))
