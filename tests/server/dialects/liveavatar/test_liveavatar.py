"""The dialect of LiveAvatar: its calls, and what its socket says of speech."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import numpy as np
import pytest

from lipstream.server.dialects.liveavatar import speech_socket
from lipstream.server.errors import ApiError
from lipstream.server.settings import ServeSettings
from tests.room_tokens import jwt
from tests.server.app_client import AppClient, run_client, settle
from tests.server.app_socket import Socket
from tests.server.fake_runtime import OFFER, session_event

URL = "wss://rooms.example.org"
BASE = "/v1/liveavatar/sessions"
KEY = "right-token-0123"
SET_UP = ServeSettings(rate=0, livekit=(URL,), token=KEY)
ROOM_TOKEN = jwt(attributes={"lk.publish_on_behalf": "agent-1"})


async def ask(client: AppClient, key: str = KEY, **others: Any) -> httpx.Response:
    """Ask for a session as the plugin does."""
    room = {"livekit_room": "r", "livekit_url": URL, "livekit_client_token": ROOM_TOKEN}
    body = {"mode": "LITE", "avatar_id": "face", "is_sandbox": False, "livekit_config": room}
    return await client.http.post(
        f"{BASE}/token", json={**body, **others}, headers={"X-API-KEY": key}
    )


async def call(client: AppClient, name: str, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return await client.http.post(f"{BASE}/{name}", json={"session_id": "x"}, headers=headers)


async def open_socket(client: AppClient) -> tuple[Socket, str]:
    """The socket of a session that is shown in a room, and its token."""
    token = (await ask(client)).json()["data"]["session_token"]
    started = (await call(client, "start", token)).json()
    client.runtime.rooms[-1].on_agent(True)
    url = started["data"]["ws_url"]
    assert started["code"] == 100 and url.startswith(f"ws://127.0.0.1:8080{BASE}/speech?")
    socket = client.socket(url.removeprefix("ws://127.0.0.1:8080"))
    assert await socket.open()
    assert (await next_word(socket)) == ("session.state_updated", "connected")
    return socket, token


async def next_word(socket: Socket) -> tuple[str, str]:
    """The type of the next message, and the state in it."""
    told = await socket.next_event()
    assert told.pop("event_id")
    return told["type"], told.get("state", told.get("new_state", told.get("error", "")))


def sound(samples: int) -> str:
    return base64.b64encode(np.arange(samples, dtype="<i2").tobytes()).decode()


def test_speech_is_taken_and_told_of() -> None:
    async def test(client: AppClient) -> None:
        socket, token = await open_socket(client)
        session = client.runtime.sessions[0]
        await socket.send({"type": "agent.speak", "event_id": "1", "audio": sound(2_400)})
        await socket.send({"type": "agent.speak_end", "event_id": "2"})
        assert (await next_word(socket))[0] == "agent.audio_buffer_appended"
        assert (await next_word(socket))[0] == "agent.audio_buffer_committed"
        await settle()
        assert session.samples == list(range(2_400)) and session.rates == [24_000]
        assert session.ends == 1
        session.emit(session_event("started"))
        assert await next_word(socket) == ("agent.speak_started", "")
        assert await next_word(socket) == ("agent.state_updated", "talking")
        session.emit(session_event("ended"))
        assert await next_word(socket) == ("agent.speak_ended", "")
        assert await next_word(socket) == ("agent.state_updated", "listening")
        stopped = await call(client, "stop", token)
        assert stopped.json()["code"] == 100
        assert len(client.manager) == 0 and client.runtime.rooms[0].closed
        await socket.leave()

    run_client(test, SET_UP)


def test_half_a_sample_waits_for_its_other_half_and_for_no_other_utterance() -> None:
    async def test(client: AppClient) -> None:
        socket, _ = await open_socket(client)
        session = client.runtime.sessions[0]
        whole = base64.b64decode(sound(240))
        for part in (whole[:101], whole[101:], b"\x01"):
            await socket.send({"type": "agent.speak", "audio": base64.b64encode(part).decode()})
        await socket.send({"type": "agent.speak_end"})
        await socket.send({"type": "agent.speak", "audio": sound(240)})
        await settle()
        first, second = session.utterances
        assert first.samples == second.samples == list(range(240))
        await socket.leave()

    run_client(test, SET_UP)


def test_an_interrupt_drops_what_waits() -> None:
    async def test(client: AppClient) -> None:
        socket, _ = await open_socket(client)
        session = client.runtime.sessions[0]
        for _ in range(3):
            await socket.send({"type": "agent.speak", "audio": sound(24_000)})
        session.emit(session_event("started"))
        await socket.send({"type": "agent.interrupt"})
        words = [await next_word(socket) for _ in range(8)]
        assert ("agent.speak_interrupted", "") in words
        assert ("agent.state_updated", "listening") in words
        assert ("agent.audio_buffer_cleared", "") in words
        assert all(one.state == "cancelled" for one in session.utterances)
        await socket.send({"type": "agent.speak", "audio": sound(240)})
        await next_word(socket)
        await settle()
        assert session.utterances[-1].samples == list(range(240))
        await socket.leave()

    run_client(test, SET_UP)


def test_an_interrupt_behind_the_last_word_takes_nothing_of_it_back() -> None:
    async def test(client: AppClient) -> None:
        socket, _ = await open_socket(client)
        session = client.runtime.sessions[0]
        for kind in ("started", "ended", "interrupted"):  # the last of speech that waited
            session.emit(session_event(kind))
        await socket.send({"type": "agent.speak_end"})
        words = [await next_word(socket) for _ in range(5)]
        assert [word for word, _ in words].count("agent.speak_ended") == 1
        assert words[-1][0] == "agent.audio_buffer_committed"
        await socket.leave()

    run_client(test, SET_UP)


def test_much_more_than_may_wait_is_told_once() -> None:
    async def test(client: AppClient) -> None:
        socket, _ = await open_socket(client)
        client.runtime.sessions[0].buffered_ms = 60_000  # no room
        pieces = speech_socket.MAX_PIECES
        for _ in range(3):
            await socket.send({"type": "agent.speak", "audio": sound(speech_socket.PIECE * pieces)})
        words = [(await next_word(socket))[0] for _ in range(5)]
        assert sorted(words) == ["agent.audio_buffer_appended"] * 3 + ["error"] * 2
        await socket.leave()

    run_client(test, SET_UP)


def test_more_than_may_wait_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_socket, "MAX_PIECES", 2)

    async def test(client: AppClient) -> None:
        socket, _ = await open_socket(client)
        client.runtime.sessions[0].buffered_ms = 60_000  # no room
        for _ in range(3):
            await socket.send({"type": "agent.speak", "audio": sound(24_000)})
        words = [await next_word(socket) for _ in range(4)]
        assert any(word == "error" and "more speech waits" in why for word, why in words)
        await socket.send({"type": "agent.speak_end"})
        await socket.send({"type": "agent.speak_end"})
        while (await next_word(socket))[0] != "agent.audio_buffer_committed":
            pass
        client.runtime.sessions[0].play(60_000)
        await settle()
        assert client.runtime.sessions[0].ends == 1  # what was taken has its end all the same
        await socket.leave()

    run_client(test, SET_UP)


@pytest.mark.parametrize(
    "message",
    ["", "[]", "{}", "7", '{"type": "agent.speak", "audio": "?"}', '{"type": "agent.speak"'],
)
def test_what_makes_no_sense_is_an_error_and_no_end(message: str) -> None:
    async def test(client: AppClient) -> None:
        socket, _ = await open_socket(client)
        await socket.send(message)
        assert (await next_word(socket))[0] == "error"
        await socket.send({"type": "session.keep_alive"})
        await socket.send({"type": "agent.speak_end"})
        assert (await next_word(socket))[0] == "agent.audio_buffer_committed"
        await socket.leave()

    run_client(test, SET_UP)


def test_only_the_right_tokens_open_anything() -> None:
    async def test(client: AppClient) -> None:
        assert (await ask(client, key="wrong-token-0123")).status_code == 401
        assert (await ask(client, avatar_id="nobody")).status_code == 404
        for name in ("start", "stop"):
            assert (await call(client, name, "of-nobody")).status_code == 401
        token = (await ask(client)).json()["data"]["session_token"]
        early = client.socket(f"{BASE}/speech?session_token={token}")
        assert not await early.open() and early.status == 409
        assert (await call(client, "start", token)).status_code == 200
        assert (await call(client, "start", token)).status_code == 409
        strange = client.socket(f"{BASE}/speech?session_token=of-nobody")
        assert not await strange.open() and strange.status == 401
        await asyncio.sleep(0)

    run_client(test, SET_UP)


@pytest.mark.parametrize("token", [None, KEY])
def test_a_start_without_the_session_s_token_is_refused(token: str | None) -> None:
    async def test(client: AppClient) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        data = (await ask(client)).json()["data"]
        path = f"/v1/sessions/{data['session_id']}/liveavatar/start"
        answer = await client.http.post(path, headers=headers)
        assert answer.status_code == 409 and "own token" in answer.json()["error"]["message"]
        assert not client.runtime.rooms
        assert (await call(client, "start", data["session_token"])).status_code == 200

    run_client(test, ServeSettings(rate=0, livekit=(URL,), token=token))


def test_the_room_has_the_session_to_itself() -> None:
    """Whoever watched or spoke before it was started is let go."""

    async def test(client: AppClient) -> None:
        data = (await ask(client)).json()["data"]
        path, own = f"/v1/sessions/{data['session_id']}", data["session_token"]
        bearer = {"authorization": f"Bearer {own}"}
        client.http.headers.update(bearer)
        connection = await client.connect({"whep_url": f"{path}/whep"})
        talking = client.socket(f"{path}/audio", **bearer)
        assert await talking.open()
        assert (await call(client, "start", own)).status_code == 200
        assert connection.closed and (await talking.receive())["type"] == "close"
        speaking = client.socket(f"{BASE}/speech?session_token={own}")
        assert await speaking.open()
        session = client.manager.find(data["session_id"])
        with pytest.raises(ApiError, match="in_room|LiveKit room"):  # found before it was started
            await client.manager.viewers.connect(session, OFFER)
        await speaking.leave()
        await talking.leave()

    run_client(test, SET_UP)
