"""Speech by WebSocket from clients that send nonsense, too much, or do not read."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import numpy as np
import pytest

from lipstream.errors import BufferFullError
from lipstream.server.api.audio_socket import MAX_MESSAGE_BYTES
from lipstream.server.api.session_events import MAX_EVENTS
from tests.server.app_client import AppClient, run_client, settle, until
from tests.server.fake_runtime import session_event
from tests.server.sources import counting

SECOND = 24_000  # samples at the usual rate


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "{",
        "[]",
        "null",
        "1e400",
        '"end"',
        "{}",
        '{"type": null}',
        '{"type": "stop"}',
        '{"type": ["end"]}',
        '{"type": {"type": "end"}}',
        "[" * 30_000,
        '{"type": "end"',
        "\x00",
        "NaN",
    ],
)
def test_unusable_messages_are_reported_and_forgiven(text: str) -> None:
    async def test(client: AppClient) -> None:
        socket = await client.open_socket(await client.open())
        await socket.send(text)
        event = await socket.next_event()
        assert (event["type"], event["code"]) == ("error", "bad_message")
        await socket.send(counting(10))
        await socket.send({"type": "end"})
        await socket.leave()
        assert client.runtime.sessions[0].ends == 1

    run_client(test)


def test_too_many_mistakes_close_the_socket() -> None:
    async def test(client: AppClient) -> None:
        socket = await client.open_socket(await client.open())
        for _ in range(21):
            await socket.send("?")
        while (event := await socket.next_event())["type"] == "error":
            pass
        assert event == {"type": "close", "code": 1008}
        await socket.leave()

    run_client(test)


@pytest.mark.parametrize(
    "message", [b"\0" * (MAX_MESSAGE_BYTES + 1), "x" * (MAX_MESSAGE_BYTES + 1)]
)
def test_huge_messages_close_the_socket(message: bytes | str) -> None:
    async def test(client: AppClient) -> None:
        socket = await client.open_socket(await client.open())
        await socket.send(message)
        assert await socket.next_event() == {"type": "close", "code": 1009}
        await socket.leave()
        assert not client.runtime.sessions[0].samples

    run_client(test)


def test_a_refused_push_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BufferFullError("60 s wait already; wait until some was played.")

    monkeypatch.setattr("tests.server.fake_runtime.FakeUtterance.push", refuse)

    async def test(client: AppClient) -> None:
        socket = await client.open_socket(await client.open())
        await socket.send(counting(SECOND))
        assert (await socket.next_event())["type"] == "queued"
        event = await socket.next_event()
        assert (event["type"], event["code"]) == ("error", "bad_audio")
        assert event["message"].startswith("60 s wait already;")
        await socket.leave()

    run_client(test)


def test_a_flood_is_held_back_and_harms_no_other_session() -> None:
    """60 s wait, and not a message more is read until some was played."""

    async def test(client: AppClient) -> None:
        made, neighbour = await client.open(), await client.open()
        flood, calm = await client.open_socket(made), await client.open_socket(neighbour)
        chunk = counting(MAX_MESSAGE_BYTES // 2)  # 1.4 s
        flooding = asyncio.create_task(keep_saying(flood, chunk, 1_000))
        await until(lambda: client.runtime.sessions[0].buffered_ms > 58_000)
        await settle(200)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            await calm.send(counting(960))
        await settle(200)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        session = client.runtime.sessions[0]
        assert session.peak_ms <= 60_000 and len(session.samples) == 43 * len(chunk) // 2
        assert grown < 2 << 20
        assert client.runtime.sessions[1].buffered_ms == 800
        session.play(3_000)
        await settle(200)
        assert session.peak_ms <= 60_000 and len(session.samples) == 46 * len(chunk) // 2
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        await client.http.post(f"/v1/sessions/{made['id']}/interrupt")  # the way past the flood
        await flood.leave()
        await calm.leave()

    run_client(test)


async def keep_saying(socket: Any, chunk: bytes, times: int) -> None:
    for _ in range(times):
        await socket.send(chunk)


def test_a_client_that_does_not_read_is_disconnected() -> None:
    async def test(client: AppClient) -> None:
        socket = await client.open_socket(await client.open())
        socket.stop_reading()
        for number in range(MAX_EVENTS + 6):  # a front holds a few
            client.runtime.sessions[0].emit(session_event("started", number))
            await settle(2)
        socket._read.set()
        while (event := await socket.next_event())["type"] != "close":
            pass
        assert event["code"] == 1008
        await socket.leave()

    run_client(test)


def test_no_message_at_all_breaks_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of random texts and bytes; speech that follows still arrives."""
    monkeypatch.setattr("lipstream.server.api.audio_socket.MAX_MISTAKES", 10**9)
    random = np.random.default_rng(3)
    pieces = [
        '{"type":',
        '"end"',
        '"interrupt"',
        "}",
        "[",
        "]",
        "{",
        "null",
        "1e999",
        '"',
        "\\u",
        ",",
    ]

    def text() -> str:
        if random.random() < 0.3:
            return bytes(random.integers(1, 255, 40, np.uint8)).decode("latin-1")
        return "".join(random.choice(pieces, int(random.integers(0, 9))))

    async def test(client: AppClient) -> None:
        socket = await client.open_socket(await client.open())
        for _ in range(400):
            odd = bytes(random.integers(0, 255, int(random.integers(0, 99)), np.uint8))
            await socket.send(odd if random.random() < 0.5 else text())
            await settle(3)
        await socket.send({"type": "end"})
        await settle()
        before = len(client.runtime.sessions[0].samples)
        await socket.send(counting(500))
        await socket.leave()
        assert client.runtime.sessions[0].samples[before:] == list(range(500))

    run_client(test)
