"""Keys, tokens and refusals, as clients of the dialect send and read them."""

from __future__ import annotations

import json

import pytest

from lipstream.server.dialects.simli.edge import with_detail
from lipstream.server.settings import ServeSettings
from tests.server.app_client import AppClient, run_client
from tests.server.dialects.simli.conversation import ask, socket_of
from tests.server.fake_runtime import FakeRuntime

TOKEN = "right-token-0123"
CLOSED = ServeSettings(rate=0, token=TOKEN)
FOREIGN = {"origin": "https://elsewhere.example"}


def test_the_key_is_the_server_s_token() -> None:
    async def test(client: AppClient) -> None:
        wrong = await ask(client, key="wrong-token-0123")
        assert wrong.status_code == 401 and wrong.json()["detail"] == "INVALID_API_KEY"
        assert wrong.json()["error"]["code"] == "unauthorized"
        assert int(wrong.headers["content-length"]) == len(wrong.content)
        assert (await client.http.get("/compose/ice")).json()["detail"] == "INVALID_API_KEY"
        assert (await ask(client, key=TOKEN)).status_code == 201

    run_client(test, CLOSED)


def test_a_refusal_has_the_detail_that_clients_read() -> None:
    async def test(client: AppClient) -> None:
        unknown = await ask(client, faceId="nobody")
        assert unknown.status_code == 404 and unknown.json()["detail"] == "INVALID_FACE_ID"
        missing = await client.http.post("/compose/token", json={})
        assert missing.status_code == 422 and "faceId" in missing.json()["detail"]
        assert (await ask(client, audioInputFormat="opus")).status_code == 422
        assert (await ask(client)).status_code == 201
        full = await ask(client)
        assert full.status_code == 503 and full.json()["detail"].startswith("all places are taken")
        assert full.headers["retry-after"] == "10"

    run_client(test, ServeSettings(rate=0, max_sessions=1, cores=8))


@pytest.mark.parametrize("body", [b"", b"text", b"[]", b'{"error": "text"}', b'{"detail": 1}'])
def test_what_is_no_refusal_of_ours_stays_as_it_is(body: bytes) -> None:
    assert with_detail(500, body) == body


def test_the_token_of_a_session_opens_its_socket_once_and_from_any_page() -> None:
    async def test(client: AppClient) -> None:
        token = (await ask(client, key=TOKEN)).json()["session_token"]
        socket = socket_of(client, token)
        socket.headers = FOREIGN
        assert await socket.open()
        second = socket_of(client, token)
        assert not await second.open() and second.status == 409
        await socket.leave()
        third = socket_of(client, token)
        assert not await third.open() and third.status == 401

    run_client(test, CLOSED)


@pytest.mark.parametrize(("settings", "status"), [(CLOSED, 401), (ServeSettings(rate=0), 404)])
def test_another_token_opens_nothing(settings: ServeSettings, status: int) -> None:
    async def test(client: AppClient) -> None:
        await ask(client, key=TOKEN)
        for token in ("", "wrong", "%0d%0a", "x" * 5000, TOKEN):
            socket = socket_of(client, token)
            assert not await socket.open()
            assert socket.status == (404 if token == TOKEN else status)
            assert "error" in json.loads(socket.body)

    run_client(test, settings)


def test_guesses_of_a_session_s_token_are_limited() -> None:
    async def test(client: AppClient) -> None:
        statuses = []
        for number in range(25):
            socket = socket_of(client, f"guess{number}")
            await socket.open()
            statuses.append(socket.status)
        assert statuses[0] == 401 and statuses[-1] == 429

    run_client(test, CLOSED)


def test_servers_for_the_connection_are_as_browsers_take_them() -> None:
    async def test(client: AppClient) -> None:
        plain, relay = (await client.http.get("/compose/ice")).json()
        assert plain == {"urls": ["stun:stun.example.org"]}
        assert relay["urls"] == ["turn:turn.example.org"] and relay["credential"] == "secret"
        assert relay["username"].startswith("1:")

    run_client(test, runtime=FakeRuntime())


def test_what_is_asked_for_and_not_done_is_said() -> None:
    async def test(client: AppClient) -> None:
        plain = (await ask(client, handleSilence=True, model="fasttalk", camera=None)).json()
        assert plain["warnings"] == []
        asked = await ask(client, faceId="face/happy", handleSilence=False, background_id="b")
        warnings = " ".join(asked.json()["warnings"])
        assert all(name in warnings for name in ("emotions", "handleSilence", "background_id"))

    run_client(test, ServeSettings(rate=0, cores=8))
