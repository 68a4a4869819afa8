"""A client of the dialect, message by message, in the test's own process."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.server.app_client import AppClient, settle
from tests.server.app_socket import Socket
from tests.server.fake_runtime import ANSWER, OFFER, FakeSession

KEY = {"x-simli-api-key": "any"}
OFFERED = json.dumps({"type": "offer", "sdp": OFFER})


async def ask(client: AppClient, key: str = "any", **config: Any) -> httpx.Response:
    """The answer to a request for a token."""
    body = {"faceId": "face", **config}
    return await client.http.post("/compose/token", json=body, headers={"x-simli-api-key": key})


async def call(client: AppClient, **config: Any) -> Socket:
    """The open socket of a new session, before its offer."""
    answer = await ask(client, **config)
    assert answer.status_code == 201, answer.text
    socket = socket_of(client, answer.json()["session_token"])
    assert await socket.open(), socket.body
    return socket


def socket_of(client: AppClient, token: str) -> Socket:
    return client.socket(f"/compose/webrtc/p2p?session_token={token}&enableSFU=True")


async def start(client: AppClient, **config: Any) -> tuple[Socket, FakeSession]:
    """A session whose viewer is connected, and its speech as the server has it."""
    socket = await call(client, **config)
    await socket.send(OFFERED)
    answer = await socket.receive_text()
    assert json.loads(answer) == {"type": "answer", "sdp": ANSWER}
    assert "sdp" in answer.split()[0]  # there older clients look for it
    assert await socket.receive_text() == "START"
    client.runtime.connections[-1].show()
    return socket, client.runtime.sessions[-1]


async def gone(client: AppClient) -> bool:
    """True when no session is left."""
    await settle(50)
    return not len(client.manager)
