"""The WebSocket that sends what a session's viewer says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lipstream.server.api.microphone_socket import RATES
from lipstream.server.api.socket_sender import GOING_AWAY, POLICY
from lipstream.server.rtc.microphone import RATE
from lipstream.server.sessions.viewer_voice import MAX_READERS, MAX_WAITING_S
from lipstream.server.settings import ServeSettings
from tests.server.api.test_asyncapi import payload
from tests.server.app_client import AppClient, run_client, settle
from tests.server.app_socket import Socket
from tests.server.fake_runtime import FakeConnection

QUIET = np.zeros(RATE // 50, np.float32)  # 20 ms


async def hear(client: AppClient, session: dict[str, Any], rate: int | None = None) -> Socket:
    """An open socket, after its format."""
    query = "" if rate is None else f"?sample_rate={rate}"
    socket = client.socket(session["microphone_url"] + query)
    assert await socket.open()
    told = await socket.receive()
    assert told == {"type": "format", "encoding": "s16le", "channels": 1} | {
        "sample_rate": rate or 16_000
    }
    return socket


async def state(socket: Socket) -> str:
    event = await socket.receive()
    assert event.pop("type") == "viewer"
    return str(event["state"])


def speak(connection: FakeConnection, sound: np.ndarray, speech: bool = False) -> bool:
    return connection.voice.hear(sound.astype(np.float32), speech)


def test_what_a_viewer_says_is_sent_and_not_spoken() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        connection = await client.connect(made)
        assert not speak(connection, QUIET)
        socket = await hear(client, made, 48_000)
        assert await state(socket) == "connected"
        for value in (0.25, -0.25):
            assert speak(connection, np.full(960, value))
            assert await socket.receive_bytes() == np.full(960, value * 32768, "<i2").tobytes()
        await socket.leave()
        assert speak(connection, QUIET)  # the avatar does not begin to repeat the viewer

    run_client(test)


def test_the_state_of_the_viewer_is_told_when_it_changes() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        socket = await hear(client, made)
        assert await state(socket) == "waiting"
        connection = await client.connect(made)
        assert [await state(socket), await state(socket)] == ["connecting", "connected"]
        connection.vanish()
        assert await state(socket) == "lost"
        again = await client.connect(made)
        assert [await state(socket), await state(socket)] == ["connecting", "connected"]
        assert speak(again, np.zeros(RATE // 2))
        assert await socket.receive_bytes()
        await socket.leave()

    run_client(test)


def test_all_that_listen_hear_and_one_too_many_is_refused() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        connection = await client.connect(made)
        sockets = [await hear(client, made, 48_000) for _ in range(MAX_READERS)]
        late = client.socket(made["microphone_url"])
        assert not await late.open()
        assert late.status == 429
        assert "hear the viewer" in json.loads(late.body)["error"]["message"]
        speak(connection, QUIET)
        for socket in sockets:
            assert await state(socket) == "connected"
            assert len(await socket.receive_bytes()) == 2 * len(QUIET)
        await sockets.pop().leave()
        sockets.append(await hear(client, made))
        for socket in sockets:
            await socket.leave()

    run_client(test)


@pytest.mark.parametrize("rate", ["22050", "16000.0", "", "-8000"])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        socket = client.socket(f"{made['microphone_url']}?sample_rate={rate}")
        assert not await socket.open() and socket.status == 422
        message = json.loads(socket.body)["error"]["message"]
        assert all(str(known) in message for known in RATES)
        assert not client.session(made).voice.taken_over

    run_client(test)


def test_it_is_closed_with_the_session() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        socket = await hear(client, made)
        assert await state(socket) == "waiting"
        await client.manager.close_id(made["id"], "closed")
        assert await socket.receive() == {"type": "close", "code": GOING_AWAY}
        gone = client.socket(made["microphone_url"])
        assert not await gone.open() and gone.status == 404

    run_client(test)


def test_one_that_sends_is_closed() -> None:
    async def test(client: AppClient) -> None:
        socket = await hear(client, await client.open())
        assert await state(socket) == "waiting"
        await socket.send(b"sound")
        assert await socket.receive() == {"type": "close", "code": POLICY}

    run_client(test)


def test_one_that_does_not_read_is_closed_and_others_are_not() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        connection = await client.connect(made)
        slow, quick = await hear(client, made, 8_000), await hear(client, made, 8_000)
        assert await state(quick) == "connected"
        slow.stop_reading()
        heard = 0
        for _ in range(round(MAX_WAITING_S) + 20):  # a front holds a few
            speak(connection, np.zeros(RATE))
            heard += len(await quick.receive_bytes())
            await settle()
        assert heard >= 2 * 8_000 * MAX_WAITING_S
        slow.read_on()
        while (message := await slow.receive_message()) is not None:
            assert message
        assert slow.code == POLICY
        await quick.leave()

    run_client(test)


def test_speech_to_a_program_keeps_a_session_open() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        connection = await client.connect(made)
        socket = await hear(client, made)
        for _ in range(3):
            await client.pass_time(6)
            speak(connection, QUIET, speech=True)
        assert not client.session(made).closed
        await client.pass_time(6)
        speak(connection, QUIET)  # a microphone that is on and hears nothing
        await client.pass_time(6)
        assert len(client.manager) == 0
        await socket.leave()

    run_client(test, ServeSettings(rate=0, idle_timeout_s=10))


def test_what_is_sent_is_as_described() -> None:
    rust = pytest.importorskip("jsonschema_rs")

    async def test(client: AppClient) -> None:
        socket = client.socket((await client.open())["microphone_url"])
        assert await socket.open()
        for kind in ("format", "viewer"):
            rust.validator_for(payload("hear", kind)).validate(await socket.receive())
        await socket.leave()

    run_client(test)
