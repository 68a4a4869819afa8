"""A session's events, sent to those who do not speak."""

from __future__ import annotations

import asyncio
import json

import pytest

from lipstream.server.api.socket_sender import GOING_AWAY, POLICY
from lipstream.server.sessions.session import MAX_LISTENERS
from tests.server.app_client import AppClient, run_client, settle
from tests.server.app_socket import Socket
from tests.server.fake_runtime import session_event
from tests.server.sources import counting


async def listen(client: AppClient, session: dict[str, str]) -> Socket:
    socket = client.socket(session["events_url"])
    assert await socket.open()
    return socket


def test_a_listener_gets_the_events_of_another_clients_speech() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        listener = await listen(client, made)
        speaker = await client.open_socket(made)
        await speaker.send(counting(100))
        assert (await speaker.next_event())["type"] == "queued"
        for kind in ("started", "ended"):
            client.runtime.sessions[0].emit(session_event(kind, 1))
            assert (await listener.next_event())["type"] == kind
            assert (await speaker.next_event())["type"] == kind  # it has not been replaced
        await speaker.leave()
        await listener.leave()

    run_client(test)


def test_several_listen_and_one_too_many_is_refused() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        listeners = [await listen(client, made) for _ in range(MAX_LISTENERS)]
        late = client.socket(made["events_url"])
        assert not await late.open()
        assert late.status == 429
        assert "listen to this session" in json.loads(late.body)["error"]["message"]
        await listeners.pop().leave()
        listeners.append(await listen(client, made))
        for listener in listeners:
            await listener.leave()

    run_client(test)


def test_listeners_are_closed_with_the_session() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        listener = await listen(client, made)
        await client.manager.close_id(made["id"], "closed")
        closed = await listener.receive()
        assert (closed["type"], closed["code"]) == ("close", GOING_AWAY)

    run_client(test)


def test_a_listener_that_speaks_is_closed() -> None:
    async def test(client: AppClient) -> None:
        listener = await listen(client, await client.open())
        await listener.send({"type": "interrupt"})
        closed = await listener.receive()
        assert (closed["type"], closed["code"]) == ("close", POLICY)

    run_client(test)


@pytest.mark.parametrize("address", ["events_url", "audio_url"])
def test_a_session_that_ends_while_a_socket_is_accepted_closes_it(address: str) -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        socket = client.socket(made[address])
        socket.stop_reading()
        opening = asyncio.create_task(socket.open())
        await settle()
        await client.manager.close_id(made["id"], "closed")
        socket.read_on()
        assert await opening
        assert await socket.receive() == {"type": "close", "code": GOING_AWAY}

    run_client(test)
