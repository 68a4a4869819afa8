"""Access to every route by every kind of caller. A new route is closed unless it is listed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lipstream.live.clock import ManualClock
from lipstream.server.api.public import SWAGGER_PATHS, page_files
from lipstream.server.security.rate_limit import Buckets
from lipstream.server.settings import ServeSettings
from tests.server.app_client import AppClient, run_client
from tests.server.security.route_table import CLOSED, PUBLIC, ROUTES, ask

TOKEN = "right-token-0123"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
EVIL = {"Origin": "https://evil.example.org"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def test_what_is_listed_as_public_exists() -> None:
    """All other routes are closed, and are asked below without a token."""
    assert set(ROUTES) >= PUBLIC


@pytest.mark.parametrize(
    ("caller", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong-token-0123"}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": TOKEN}, 401),
        ({"Authorization": f"Bearer {TOKEN.upper()}"}, 401),
        ({"Cookie": f"token={TOKEN}"}, 401),
        ({**RIGHT, **EVIL}, 403),
        ({**RIGHT, "Origin": "null"}, 403),
        ({**RIGHT, "Origin": "http://127.0.0.1:8081"}, 403),
        ({**RIGHT, "Origin": "http://127.0.0.1:8080.evil.example.org"}, 403),
        ({**RIGHT, "Host": "evil.example.org"}, 403),
        ({**RIGHT, "Host": ""}, 403),
        ("in the query", 401),
        ("another session's id", 401),
    ],
)
def test_requests_without_the_right_token_or_origin_are_refused(caller: Any, status: int) -> None:
    async def test(client: AppClient) -> None:
        made = (
            await client.http.post("/v1/sessions", json={"avatar": "face"}, headers=RIGHT)
        ).json()
        other = (
            await client.http.post("/v1/sessions", json={"avatar": "face"}, headers=RIGHT)
        ).json()
        headers, query = caller, ""
        if caller == "in the query":
            headers, query = {}, f"?token={TOKEN}&access_token={TOKEN}&bearer={TOKEN}"
        elif caller == "another session's id":
            headers = {"Authorization": f"Bearer {other['id']}"}
        for method, path in CLOSED:
            there = path.format(session_id=made["id"], avatar_id="face") + query
            client.clock.advance(2_000)  # so often may one guess
            found, error = await ask(client, method, there, headers)
            assert found == status, (method, path, found)
            if method != "HEAD":
                assert set(error) == {"code", "message"} and TOKEN not in str(error)
        assert len(client.manager) == 2

    run_client(test, ServeSettings(token=TOKEN, rate=0, connect_timeout_s=600))


@pytest.mark.parametrize("protocol", ["bearer.wrong", "bearer.", "bearer", TOKEN, f"token.{TOKEN}"])
def test_a_wrong_subprotocol_is_no_token(protocol: str) -> None:
    async def test(client: AppClient) -> None:
        client.http.headers.update(RIGHT)
        socket = client.socket((await client.open())["audio_url"])
        socket.protocols = (protocol,)
        assert not await socket.open() and socket.status == 401

    run_client(test, ServeSettings(token=TOKEN, rate=0))


def test_a_socket_where_nothing_is_gets_the_usual_json() -> None:
    async def test(client: AppClient) -> None:
        for path in ("/nothing", "/v1/sessions/0/audio", "/v1/config"):
            socket = client.socket(path)
            assert not await socket.open()
            assert socket.status == 404
            assert json.loads(socket.body)["error"]["code"] == "not_found"

    run_client(test)


def test_with_the_token_everything_answers() -> None:
    async def test(client: AppClient) -> None:
        for origin in (
            {},
            {"Origin": "http://127.0.0.1:8080"},
            {"Origin": "https://127.0.0.1:8080"},
        ):
            client.http.headers.update({**RIGHT, **origin})
            made = await client.open()
            for method, path in reversed(CLOSED):
                if method == "WEBSOCKET":
                    continue
                there = path.format(session_id=made["id"], avatar_id="face")
                answer = await client.http.request(method, there)
                assert answer.status_code not in (401, 403, 500), (method, path)

    run_client(test, ServeSettings(token=TOKEN, rate=0))


@pytest.mark.parametrize("token", [None, TOKEN])
def test_public_paths_need_no_token(token: str | None) -> None:
    async def test(client: AppClient) -> None:
        for method, path in sorted(PUBLIC):
            there = path.format(session_id="0")
            assert (await client.http.request(method, there)).status_code == 200, path
        for path in ("/", "/docs", *SWAGGER_PATHS, *page_files()):
            assert (await client.http.get(path)).status_code == 200, path

    run_client(test, ServeSettings(token=token, rate=0))


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/v1",
        "/v1/sessions/",
        "//v1/avatars",
        "/v1//avatars",
        "/v1/config/",
        "/V1/AVATARS",
        "/v1%2Favatars",
        "/docs/../v1/avatars",
        "/%2e%2e/metrics",
        "/metrics;/docs",
        "/index.html/../../settings.py",
    ],
)
def test_no_spelling_of_an_address_gets_around_the_token(path: str) -> None:
    async def test(client: AppClient) -> None:
        for method in METHODS[:-2]:
            answer = await client.http.request(method, path)
            assert answer.status_code == 401, method

    run_client(test, ServeSettings(token=TOKEN, rate=0))


def test_on_loopback_other_names_for_it_are_refused() -> None:
    """DNS rebinding: a page whose name leads here could otherwise do all that its visitor may."""

    async def test(client: AppClient) -> None:
        for host in ("localhost", "localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST:1"):
            assert (await client.http.get("/v1/avatars", headers={"Host": host})).status_code == 200
        for host in (
            "evil.example.org",
            "localhost.evil.example.org",
            "127.0.0.1.nip.example",
            "[",
        ):
            for path in ("/", "/v1/avatars", "/healthz"):
                answer = await client.http.get(path, headers={"Host": host})
                assert answer.json()["error"]["code"] == "wrong_host"

    run_client(test)


def test_a_proxy_s_name_is_known_by_its_origin() -> None:
    async def test(client: AppClient) -> None:
        headers = {"Host": "avatars.example.org", "Origin": "https://avatars.example.org"}
        assert (await client.http.get("/v1/avatars", headers=headers)).status_code == 200

    run_client(test, ServeSettings(rate=0, origins=("https://avatars.example.org",)))


def test_pages_of_allowed_origins_can_read_answers_and_refusals() -> None:
    origin = "https://app.example.org"

    async def test(client: AppClient) -> None:
        for headers, status in ((RIGHT, 200), ({}, 401)):
            answer = await client.http.get("/v1/avatars", headers={**headers, "Origin": origin})
            assert answer.status_code == status
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            assert "Location" in answer.headers["Access-Control-Expose-Headers"]
        asked = {"Access-Control-Request-Method": "PATCH", "Origin": origin}
        preflight = await client.http.options("/whep", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == origin
        assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
        preflight = await client.http.options("/whep", headers={**asked, **EVIL})
        assert "Access-Control-Allow-Origin" not in preflight.headers
        answer = await client.http.get("/v1/avatars", headers={**RIGHT, **EVIL})
        assert "Access-Control-Allow-Origin" not in answer.headers

    run_client(test, ServeSettings(token=TOKEN, rate=0, origins=(origin,)))


def test_pages_of_any_origin_can_load_the_element() -> None:
    async def test(client: AppClient) -> None:
        for path in page_files():
            answer = await client.http.get(path, headers=EVIL)
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
        for path in ("/openapi.json", "/v1/config", "/healthz", "/nothing"):
            answer = await client.http.get(path, headers=EVIL)
            assert "Access-Control-Allow-Origin" not in answer.headers

    run_client(test, ServeSettings(token=TOKEN, rate=0))


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site "])
def test_a_page_elsewhere_cannot_show_what_is_here(site: str) -> None:
    """An <img> sends no origin; browsers tell where the page is from."""
    picture, origin = "/v1/avatars/face/picture", "https://app.example.org"

    async def test(client: AppClient) -> None:
        foreign = {"Sec-Fetch-Site": site}
        for path in (picture, "/v1/avatars", "/metrics"):
            answer = await client.http.get(path, headers=foreign)
            assert answer.status_code == 403
            assert answer.json()["error"]["code"] == "wrong_origin"
        assert (await client.http.get("/", headers=foreign)).status_code == 200
        for own in ("same-origin", "none"):
            answer = await client.http.get(picture, headers={"Sec-Fetch-Site": own})
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        # <img crossorigin> on a page of an allowed origin
        answer = await client.http.get(picture, headers={**foreign, "Origin": origin})
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"

    run_client(test, ServeSettings(rate=0, origins=(origin,)))


def test_too_many_changes_are_slowed_down() -> None:
    async def test(client: AppClient) -> None:
        async def ask(times: int) -> list[int]:
            asked = [await client.http.delete("/v1/sessions/0") for _ in range(times)]
            return [answer.status_code for answer in asked]

        assert await ask(51) == [204] * 50 + [429]
        answer = await client.http.delete("/v1/sessions/0")
        assert answer.headers["Retry-After"] == "1"
        assert (await client.http.get("/v1/avatars")).status_code == 200  # looking is free
        client.clock.advance(1_000)
        assert await ask(11) == [204] * 10 + [429]

    run_client(test, ServeSettings(rate=10))


def test_guessing_tokens_is_slowed_down_and_hurts_nobody_else() -> None:
    async def test(client: AppClient) -> None:
        wrong = {"Authorization": "Bearer wrong-token-0123"}
        found = [
            (await client.http.get("/v1/avatars", headers=wrong)).status_code for _ in range(25)
        ]
        assert found == [401] * 20 + [429] * 5
        assert (await client.http.get("/v1/avatars", headers=RIGHT)).status_code == 200

    run_client(test, ServeSettings(token=TOKEN, rate=0))


def test_buckets_forget_old_clients() -> None:
    buckets = Buckets(1, 1, ManualClock())
    for number in range(10_000):
        assert buckets.take(str(number)) == 0
    assert len(buckets._buckets) <= 4096


@pytest.mark.parametrize("path", ["/", "/docs", "/v1/avatars", "/nothing", "/healthz"])
def test_every_answer_carries_the_safe_headers(path: str) -> None:
    async def test(client: AppClient) -> None:
        headers = (await client.http.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Origin" in headers["Vary"]
        assert "Access-Control-Allow-Origin" not in headers

    run_client(test)


def test_pages_opened_as_files_are_let_in_where_null_is_an_origin() -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.get("/v1/avatars", headers={"Origin": "null"})
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "null"
        elsewhere = await client.http.get("/v1/avatars", headers={"Origin": "https://example.org"})
        assert elsewhere.status_code == 403
        assert (await client.http.get("/v1/avatars", headers={"Host": ""})).status_code == 403

    run_client(test, ServeSettings(origins=("null",), rate=0))
