"""Sessions in rooms of LiveKit: joined or refused, limited and ended as any other."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from lipstream.integrations.livekit.room_error import Reason, RoomError
from lipstream.server.settings import ServeSettings
from tests.room_tokens import jwt
from tests.server.app_client import SDP, AppClient, run_client, settle
from tests.server.fake_runtime import OFFER, session_event

URL = "wss://rooms.example.org"
SET_UP = ServeSettings(rate=0, livekit=(URL,), max_sessions=2)


async def ask(client: AppClient, **room: Any) -> httpx.Response:
    """Ask for a session in a room."""
    told = {"url": URL, "token": jwt(), "agent_identity": "agent-1", **room}
    return await client.http.post("/v1/sessions", json={"avatar": "face", "livekit": told})


async def join(client: AppClient) -> dict[str, Any]:
    """A session in a room, whose agent is there."""
    answer = await ask(client)
    assert answer.status_code == 201, answer.text
    client.runtime.rooms[-1].on_agent(True)
    made: dict[str, Any] = answer.json()
    return made


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def test_a_session_waits_for_its_agent_and_lasts_while_it_is_there() -> None:
    async def test(client: AppClient) -> None:
        answer = await ask(client)
        session = client.session(answer.json())
        states = [session.state]
        room = client.runtime.rooms[0]
        assert room.address.agent_identity == "agent-1" and room.address.url == URL
        await client.pass_time(14)
        room.on_agent(True)
        await client.pass_time(60)
        states.append(session.state)
        assert client.manager.load.sessions == 1
        room.on_agent(False)
        await client.pass_time(20)
        states.append(session.state)
        room.on_agent(True)  # it came back
        await client.pass_time(60)
        states.append(session.state)
        assert states == ["connecting", "connected", "lost", "connected"] and not room.closed
        room.on_agent(False)
        await client.pass_time(31)
        assert room.closed and len(client.manager) == 0

    run_client(test, SET_UP)


def test_without_an_agent_it_ends() -> None:
    async def test(client: AppClient) -> None:
        await ask(client)
        await client.pass_time(16)
        assert client.runtime.rooms[0].closed and len(client.manager) == 0
        assert 'lipstream_sessions_closed_total{reason="unconnected"} 1.0' in await client.metrics()

    run_client(test, SET_UP)


def test_a_room_that_ends_ends_its_session() -> None:
    async def test(client: AppClient) -> None:
        events: list[tuple[str, Any]] = []
        client.manager.on_event = lambda event, data: events.append((event, data.get("reason")))
        await join(client)
        client.runtime.rooms[0].on_lost("the room has ended")
        await settle()
        assert len(client.manager) == 0
        assert events == [("session.opened", None), ("session.closed", "left")]
        told = await client.metrics()
        assert 'lipstream_rooms_total{outcome="joined"} 1.0' in told
        assert 'lipstream_rooms_total{outcome="lost"} 1.0' in told

    run_client(test, SET_UP)


def test_the_agent_has_the_session_to_itself() -> None:
    async def test(client: AppClient) -> None:
        made = await join(client)
        here = f"/v1/sessions/{made['id']}"
        for answer in (
            await client.http.post(made["whep_url"], content=OFFER, headers=SDP),
            await client.http.post(made["say_url"], json={"text": "Hello."}),
            await client.http.post(made["speech_url"], files={"file": b"RIFF"}),
        ):
            assert refusal(answer)[:2] == (409, "in_room")
        deaf = client.socket(made["microphone_url"])
        assert not await deaf.open() and deaf.status == 409
        speaker = client.runtime.rooms[0].speaker
        assert speaker.open_utterance(24_000).id == 1
        assert (await client.http.post(f"{here}/interrupt")).json() == {"played_ms": 120}
        assert (await client.http.get(here)).json()["state"] == "connected"
        assert (await client.http.delete(here)).status_code == 204
        assert client.runtime.rooms[0].closed

    run_client(test, SET_UP)


def test_a_session_in_a_room_has_a_place_as_any_other() -> None:
    async def test(client: AppClient) -> None:
        await join(client)
        await client.open()
        answer = await ask(client)
        assert refusal(answer)[:2] == (503, "full") and len(client.runtime.rooms) == 1
        client.runtime.sessions[0].buffered_ms = 2_000
        assert client.manager.speaking == 1  # a drain waits for it

    run_client(test, SET_UP)


@pytest.mark.parametrize(
    "reason, status",
    [("refused", 422), ("silent", 504), ("unreachable", 502)],
)
def test_a_room_that_cannot_be_joined_leaves_nothing(reason: Reason, status: int) -> None:
    async def test(client: AppClient) -> None:
        client.runtime.room_error = RoomError(reason, "why.")
        assert refusal(await ask(client)) == (status, f"room_{reason}", "why.")
        assert len(client.manager) == 0 and client.runtime.rooms[0].closed
        assert f'lipstream_rooms_total{{outcome="{reason}"}} 1.0' in await client.metrics()

    run_client(test, SET_UP)


@pytest.mark.parametrize(
    "room, status, code",
    [
        ({"url": "rooms.example.org"}, 422, "invalid"),
        ({"url": "wss://user:secret@rooms.example.org"}, 422, "invalid"),
        ({"token": "top-secret"}, 422, "invalid"),
        ({"agent_identity": ""}, 422, "invalid"),
        ({"url": "wss://elsewhere.example.org"}, 403, "livekit_not_allowed"),
    ],
)
def test_what_is_wrong_is_said_without_secrets(
    room: dict[str, str], status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(client: AppClient) -> None:
        answer = await ask(client, **room)
        assert refusal(answer)[:2] == (status, code)
        assert not client.runtime.rooms and len(client.manager) == 0
        for secret in ("secret", jwt()):
            assert secret not in answer.text and secret not in caplog.text

    run_client(test, SET_UP)


def test_a_server_without_rooms_says_how_it_gets_them() -> None:
    async def test(client: AppClient) -> None:
        status, code, message = refusal(await ask(client))
        assert (status, code) == (501, "no_livekit") and "--livekit" in message

    run_client(test)


@pytest.mark.parametrize(("ends", "status"), [("session", 404), ("server", 503)])
def test_whoever_waits_for_a_room_is_told_that_it_ends(ends: str, status: int) -> None:
    async def test(client: AppClient) -> None:
        client.runtime.rooms_answer = asyncio.Event()
        asking = asyncio.create_task(ask(client))
        await settle(50)
        (session,) = client.manager.open_sessions
        if ends == "session":
            await client.http.delete(f"/v1/sessions/{session.id}")
        else:
            client.manager.rooms.give_up()
        answer = await asking
        assert refusal(answer)[0] == status and client.runtime.rooms[0].closed
        assert len(client.manager) == 0

    run_client(test, SET_UP)


def test_a_room_that_does_not_end_well_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def test(client: AppClient) -> None:
        async def close() -> None:
            raise RuntimeError("a bug of the room")

        made = await join(client)
        client.runtime.rooms[0].close = close  # type: ignore[method-assign]
        assert (await client.http.delete(f"/v1/sessions/{made['id']}")).status_code == 204
        assert len(client.manager) == 0 and "a bug of the room" in caplog.text

    run_client(test, SET_UP)


def test_an_ended_session_is_not_connected_again() -> None:
    async def test(client: AppClient) -> None:
        made = await join(client)
        session, room = client.session(made), client.runtime.rooms[0]
        client.runtime.sessions[0].emit(session_event("started"))
        await client.manager.close(session, "closed")
        room.on_agent(True)
        assert session.state == "connected" and session.closed

    run_client(test, SET_UP)
