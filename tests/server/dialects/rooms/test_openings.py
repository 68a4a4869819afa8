"""What plugins of other services ask for, as our own sessions in rooms."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from lipstream.server.settings import ServeSettings
from tests.room_tokens import jwt
from tests.server.app_client import AppClient, run_client

URL = "wss://rooms.example.org"
SET_UP = ServeSettings(rate=0, livekit=(URL,))
TOKEN = jwt(attributes={"lk.publish_on_behalf": "agent-1"})


async def ask_anam(client: AppClient, avatar: str = "face", token: str = TOKEN) -> httpx.Response:
    persona = {"type": "ephemeral", "name": "Anna", "avatarId": avatar, "avatarModel": "cara-3"}
    room = {"livekitUrl": URL, "livekitToken": token}
    body = {"personaConfig": {**persona, "llmId": "CUSTOMER_CLIENT_V1"}, "environment": room}
    body["sessionOptions"] = {"videoWidth": "640", "videoHeight": "480"}
    return await client.http.post("/v1/engine/session", json=body)


async def ask_bithuman(client: AppClient, **others: Any) -> httpx.Response:
    room = {"livekit_url": URL, "livekit_token": TOKEN, "room_name": "r", "model": "expression-2"}
    return await client.http.post("/v1/bithuman/sessions", data={**room, **others})


def test_both_open_a_session_for_the_agent_that_the_token_names() -> None:
    async def test(client: AppClient) -> None:
        answers = await ask_anam(client), await ask_bithuman(client, avatar_id="face")
        fields = "sessionId", "session_id"
        for answer, field, room in zip(answers, fields, client.runtime.rooms, strict=True):
            assert answer.status_code == 201
            assert (room.address.url, room.address.agent_identity) == (URL, "agent-1")
            room.on_agent(True)
            found = await client.http.get(f"/v1/sessions/{answer.json()[field]}")
            assert found.json()["state"] == "connected"

    run_client(test, SET_UP)


def test_both_are_refused_as_any_other() -> None:
    async def test(client: AppClient) -> None:
        for answer, status, words in (
            (await ask_anam(client, avatar="nobody"), 404, "does not exist"),
            (await ask_anam(client, token=jwt()), 422, "lk.publish_on_behalf"),
            (await ask_anam(client, token=""), 422, "environment.livekitToken"),
            (await ask_bithuman(client), 422, "avatar_id"),
            (await ask_bithuman(client, avatar_id="nobody"), 404, "does not exist"),
            (
                await ask_bithuman(client, avatar_id="face", avatar_image_url="http://a/b.png"),
                422,
                "POST /v1/avatars",
            ),
            (await client.http.post("/v1/bithuman/sessions", content=b"x" * 99), 422, "avatar_id"),
        ):
            assert answer.status_code == status and words in answer.json()["error"]["message"]
            assert TOKEN not in answer.text
        assert len(client.manager) == 0 and not client.runtime.rooms

    run_client(test, SET_UP)


@pytest.mark.parametrize("path", ["/v1/engine/session", "/v1/bithuman/sessions"])
def test_the_servers_token_is_their_key(path: str) -> None:
    async def test(client: AppClient) -> None:
        assert (await client.http.post(path)).status_code == 401
        right = {"Authorization": "Bearer right-token-0123"}
        assert (await client.http.post(path, headers=right)).status_code == 422

    run_client(test, ServeSettings(rate=0, token="right-token-0123"))
