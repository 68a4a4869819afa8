"""The token of a session opens that session, while it lasts, and nothing else."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import pytest

from lipstream.server.admission import Cost
from lipstream.server.security.session_tokens import Grant, SessionTokens
from lipstream.server.settings import ServeSettings
from tests.fakes import blank_avatar
from tests.server.app_client import AppClient, run_client
from tests.server.fake_runtime import FakeRuntime
from tests.server.security.route_table import CLOSED, ask, of_a_session

TOKEN = "right-token-0123"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
ELSEWHERE = {"Origin": "https://app.example.org"}
CHEAP = Cost(0.1, 0.1, 0.1)
CLOSED_TO_ALL = (401, 403)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def run(test: Any, token: str | None = TOKEN, **settings: Any) -> None:
    run_client(
        test,
        ServeSettings(token=token, rate=0, connect_timeout_s=600, **settings),
        avatars={"face": blank_avatar(), "other": blank_avatar()},
        runtime=FakeRuntime(cost=CHEAP),
    )


async def opened(client: AppClient, avatar: str = "face") -> dict[str, Any]:
    answer = await client.http.post("/v1/sessions", json={"avatar": avatar}, headers=RIGHT)
    made: dict[str, Any] = answer.json()
    return made


@pytest.mark.parametrize(
    ("caller", "of_own_session", "of_others"),
    [
        ("nobody", False, False),
        ("server", True, True),
        ("session", True, False),
        ("session elsewhere", True, False),
        ("another session", False, False),
        ("ended session", False, False),
        ("wrong", False, False),
    ],
)
def test_every_route_by_every_kind_of_token(
    caller: str, of_own_session: bool, of_others: bool
) -> None:
    async def test(client: AppClient) -> None:
        other, ended = await opened(client, "other"), await opened(client, "other")
        await client.http.delete(f"/v1/sessions/{ended['id']}", headers=RIGHT)
        for method, path in CLOSED:
            made = await opened(client)
            headers = {
                "nobody": {},
                "server": RIGHT,
                "session": bearer(made["token"]),
                "session elsewhere": bearer(made["token"]) | ELSEWHERE,
                "another session": bearer(other["token"]),
                "ended session": bearer(ended["token"]),
                "wrong": bearer(made["token"][:-1] + "!"),
            }[caller]
            client.clock.advance(2_000)  # so often may one guess
            there = path.format(session_id=made["id"], avatar_id="face")
            status, error = await ask(client, method, there, headers)
            opens = of_own_session if of_a_session(method, path) else of_others
            assert (status not in CLOSED_TO_ALL) is opens, (method, path, status)
            if not opens and error is not None:
                expected = "wrong_origin" if status == 403 else "unauthorized"
                assert error["code"] == expected
                assert made["token"] not in error["message"]
            await client.http.delete(f"/v1/sessions/{made['id']}", headers=RIGHT)
        assert len(client.manager) == len(client.manager.tokens) == 1

    run(test)


def test_an_ended_session_s_token_opens_not_even_its_own_routes() -> None:
    async def test(client: AppClient) -> None:
        made = await opened(client)
        here, own = f"/v1/sessions/{made['id']}", bearer(made["token"])
        assert (await client.http.get(here, headers=own)).status_code == 200
        assert (await client.http.delete(here, headers=own)).status_code == 204
        answer = await client.http.get(here, headers=own | ELSEWHERE)
        assert answer.status_code == 401
        assert answer.headers["Access-Control-Allow-Origin"] == "*"  # its page can read why
        sentence = "this token does not open this; it is wrong, or its session has ended."
        assert answer.json()["error"]["message"] == sentence

    run(test)


def test_a_page_of_any_origin_talks_with_its_session_s_token() -> None:
    """As the element does on a page whose own server has opened the session."""

    async def test(client: AppClient) -> None:
        made = await opened(client)
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
            **ELSEWHERE,
        }
        for path in (made["whep_url"], made["speech_url"], f"/v1/sessions/{made['id']}/interrupt"):
            preflight = await client.http.options(path, headers=asked)
            assert preflight.status_code == 200
            assert preflight.headers["Access-Control-Allow-Origin"] == "*"
            assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
            assert "Access-Control-Allow-Credentials" not in preflight.headers
        client.http.headers.update(bearer(made["token"]) | ELSEWHERE)
        await client.connect(made)
        picture = await client.http.get("/v1/avatars/face/picture")
        assert picture.status_code == 200
        assert picture.headers["Access-Control-Allow-Origin"] == "*"
        socket = client.socket(made["audio_url"], origin=ELSEWHERE["Origin"])
        socket.protocols = (f"bearer.{made['token']}",)
        assert await socket.open() and socket.accepted == f"bearer.{made['token']}"
        await socket.leave()
        refused = await client.http.post("/v1/sessions", json={"avatar": "face"})
        assert refused.status_code == 403  # not even with a session's token
        assert "Access-Control-Allow-Origin" not in refused.headers

    run(test)


def test_the_host_rule_holds_for_session_tokens_too() -> None:
    async def test(client: AppClient) -> None:
        made = await opened(client)
        headers = bearer(made["token"]) | {"Host": "evil.example.org"}
        answer = await client.http.get(f"/v1/sessions/{made['id']}", headers=headers)
        assert answer.json()["error"]["code"] == "wrong_host"

    run(test)


def test_without_a_server_token_sessions_have_theirs_all_the_same() -> None:
    async def test(client: AppClient) -> None:
        made, other = await opened(client), await opened(client)
        here, own = f"/v1/sessions/{made['id']}", bearer(made["token"])
        for headers, status in (
            ({}, 200),  # as before
            (own, 200),
            (own | ELSEWHERE, 200),
            (ELSEWHERE, 403),
            (bearer(other["token"]), 200),  # not looked at: none is needed
            (bearer(other["token"]) | ELSEWHERE, 401),
        ):
            assert (await client.http.get(here, headers=headers)).status_code == status, headers
        answer = await client.http.get("/v1/avatars", headers=own | ELSEWHERE)
        assert answer.status_code == 403

    run(test, token=None)


def test_guesses_are_slowed_down() -> None:
    async def test(client: AppClient) -> None:
        made = await opened(client)
        here = f"/v1/sessions/{made['id']}"
        found = [
            (await client.http.get(here, headers=bearer(f"guess-{n}") | ELSEWHERE)).status_code
            for n in range(25)
        ]
        assert found == [401] * 20 + [429] * 5
        assert (await client.http.get(here, headers=bearer(made["token"]))).status_code == 200

    run(test)


def test_an_application_below_a_prefix_knows_its_routes() -> None:
    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

    async def test(client: AppClient) -> None:
        made = await opened(client)
        outer = FastAPI()

        async def inner(scope: Scope, receive: Receive, send: Send) -> None:
            await client.app(scope, receive, send)

        outer.mount("/faces", inner)
        client.http._transport = type(client.http._transport)(outer)  # type: ignore[call-arg]
        here = f"/faces/v1/sessions/{made['id']}"
        for path, headers, status in (
            ("/faces/healthz", {}, 200),
            (here, {}, 401),
            (here, bearer(made["token"]), 200),
            (here, bearer(made["token"]) | ELSEWHERE, 200),
            ("/faces/v1/avatars", bearer(made["token"]), 401),
        ):
            assert (await client.http.get(path, headers=headers)).status_code == status, path

    run(test)


def test_no_token_is_kept_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def test(client: AppClient) -> None:
        made = await opened(client)
        here, token = f"/v1/sessions/{made['id']}", made["token"]
        assert len(token.partition(".")[0]) == 43  # 256 bits in base64
        client.http.headers.update(RIGHT)
        connection = await client.connect(made)
        for answer in (
            await client.http.get(here),
            await client.http.get("/v1/config"),
            await client.http.get("/metrics"),
            await client.http.get("/nothing", headers=bearer(token)),
        ):
            assert token not in answer.text
        assert token not in repr(vars(client.manager.tokens))
        assert token not in repr(vars(client.session(made)))
        connection.vanish()
        await client.http.delete(here)

    with caplog.at_level(logging.DEBUG):
        run(test)
    assert "session closed" in caplog.text
    assert "token=" not in caplog.text and "Bearer" not in caplog.text


def test_tokens_are_kept_as_digests_one_for_a_session() -> None:
    tokens = SessionTokens()
    first, second = tokens.issue("a", "face"), tokens.issue("a", "face")
    assert tokens.find(first) is None and tokens.find(second) == Grant("a", "face")
    assert tokens._digests == {"a": hashlib.sha256(second.encode()).digest()}
    tokens.revoke("a")
    tokens.revoke("never there")
    assert tokens.find(second) is None and len(tokens) == 0


@pytest.mark.parametrize(
    ("method", "path", "covered"),
    [
        ("GET", "/v1/sessions/abc", True),
        ("POST", "/v1/sessions/abc/say", True),
        ("GET", "/v1/avatars/face/picture", True),
        ("POST", "/v1/avatars/face/picture", False),
        ("DELETE", "/v1/avatars/face", False),
        ("GET", "/v1/avatars/other/picture", False),
        ("GET", "/v1/sessions", False),
        ("GET", "/v1/sessions/", False),
        ("GET", "/v1/sessions/abcd", False),
        ("GET", "/v1/sessions/ab/abc", False),
        ("GET", "//v1/sessions/abc", False),
        ("GET", "/v1/sessions/abc\n", False),
    ],
)
def test_a_grant_covers_one_session_and_one_picture(method: str, path: str, covered: bool) -> None:
    assert Grant("abc", "face").covers(method, path) is covered
