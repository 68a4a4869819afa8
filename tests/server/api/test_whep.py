"""WHEP as standard players speak it."""

from __future__ import annotations

import asyncio

import pytest

from lipstream.server.settings import ServeSettings
from tests.server.app_client import SDP, AppClient, run_client
from tests.server.fake_runtime import ANSWER, CANDIDATES, OFFER

FRAGMENT = {"content-type": "application/trickle-ice-sdpfrag"}


def test_an_offer_is_answered() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        answer = await client.http.post(made["whep_url"], content=OFFER, headers=SDP)
        assert answer.status_code == 201 and answer.text == ANSWER
        assert answer.headers["Content-Type"] == "application/sdp"
        assert answer.headers["Location"].startswith(made["whep_url"])
        assert "ETag" not in answer.headers  # no ICE restart
        assert answer.headers.get_list("Link") == [
            '<stun:stun.example.org>; rel="ice-server"',
            '<turn:turn.example.org>; rel="ice-server"; username="1:'
            f'{made["id"]}"; credential="secret"; credential-type="password"',
        ]

    run_client(test)


@pytest.mark.parametrize("kind", ["application/sdp; charset=utf-8", "APPLICATION/SDP"])
def test_the_type_may_be_written_in_any_way(kind: str) -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        headers = {"content-type": kind}
        answer = await client.http.post(made["whep_url"], content=OFFER, headers=headers)
        assert answer.status_code == 201

    run_client(test)


@pytest.mark.parametrize("path", ["whep_url", "/whep?avatar=face"])
@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"not sdp", "application/sdp", 400),
        (b"", "application/sdp", 400),
        (b"\xff\xfe\x00", "application/sdp", 400),
        (OFFER.encode(), "application/json", 415),
        (OFFER.encode(), "", 415),
        (b"v=0\r\n" + b"a" * 70_000, "application/sdp", 413),
    ],
)
def test_what_is_no_offer_is_refused(path: str, content: bytes, kind: str, status: int) -> None:
    async def test(client: AppClient) -> None:
        made = await client.open() if path == "whep_url" else {"whep_url": path}
        headers = {"content-type": kind} if kind else {}
        answer = await client.http.post(made["whep_url"], content=content, headers=headers)
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"code", "message"}
        assert len(client.manager) == (path == "whep_url")
        assert all(connection.closed for connection in client.runtime.connections)

    run_client(test)


def test_candidates_trickle_in() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        connection = await client.connect(made)
        for content, status in ((CANDIDATES, 204), ("nonsense", 400), ("restart", 422)):
            answer = await client.http.patch(made["whep_url"], content=content, headers=FRAGMENT)
            assert answer.status_code == status
        assert connection.fragments == [CANDIDATES]
        wrong = await client.http.patch(made["whep_url"], content=CANDIDATES, headers=SDP)
        assert wrong.status_code == 415

    run_client(test)


def test_candidates_without_a_connection_are_refused() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        answer = await client.http.patch(made["whep_url"], content=CANDIDATES, headers=FRAGMENT)
        assert answer.status_code == 409

    run_client(test)


def test_what_is_meant_for_an_older_connection_comes_too_late() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        answer = await client.http.post(made["whep_url"], content=OFFER, headers=SDP)
        newest = await client.connect(made)
        old = answer.headers["Location"]
        late = await client.http.patch(old, content=CANDIDATES, headers=FRAGMENT)
        assert late.status_code == 409
        assert (await client.http.delete(old)).status_code == 200
        assert not newest.closed and client.session(made).state == "connected"

    run_client(test)


def test_a_viewer_may_leave_and_another_one_come() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        connection = await client.connect(made)
        assert (await client.http.delete(made["whep_url"])).status_code == 200
        assert connection.closed and client.session(made).state == "lost"
        assert (await client.http.delete(made["whep_url"])).status_code == 200
        await client.connect(made)
        assert client.session(made).state == "connected"

    run_client(test)


def test_players_know_one_address_only() -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.post("/whep?avatar=face", content=OFFER, headers=SDP)
        assert answer.status_code == 201
        location = answer.headers["Location"]
        patched = await client.http.patch(location, content=CANDIDATES, headers=FRAGMENT)
        assert patched.status_code == 204
        assert (await client.http.delete(location)).status_code == 200
        assert len(client.manager) == 0
        assert (await client.http.delete(location)).status_code == 404

    run_client(test)


def test_a_player_that_vanishes_takes_its_session_with_it() -> None:
    async def test(client: AppClient) -> None:
        await client.http.post("/whep?avatar=face", content=OFFER, headers=SDP)
        client.runtime.connections[0].vanish()
        await client.pass_time(1)
        assert len(client.manager) == 0

    run_client(test)


@pytest.mark.parametrize(("avatar", "status"), [("nobody", 404), ("", 422), ("a" * 200, 422)])
def test_an_unknown_avatar_is_an_error_for_players_too(avatar: str, status: int) -> None:
    async def test(client: AppClient) -> None:
        path = f"/whep?avatar={avatar}"
        answer = await client.http.post(path, content=OFFER, headers=SDP)
        assert answer.status_code == status

    run_client(test)


def test_an_answer_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipstream.server.sessions.viewers.ANSWER_S", 0.01)

    async def hang(self: object, offer: str) -> str:
        await asyncio.Event().wait()
        return ""

    async def test(client: AppClient) -> None:
        made = await client.open()
        monkeypatch.setattr("tests.server.fake_runtime.FakeConnection.accept", hang)
        answer = await client.http.post(made["whep_url"], content=OFFER, headers=SDP)
        assert answer.status_code == 503
        assert client.runtime.connections[0].closed and client.session(made).connection is None

    run_client(test)


@pytest.mark.parametrize("path", ["/whep", "/v1/sessions/0/whep"])
def test_options_tell_what_is_accepted(path: str) -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.options(path)
        assert answer.status_code == 200
        assert answer.headers["Accept-Post"] == "application/sdp"
        assert (await client.http.head(path)).headers["Content-Type"] == "application/sdp"

    run_client(test)


def test_pages_elsewhere_may_play_when_they_are_listed() -> None:
    there = "https://pages.example.org"

    async def test(client: AppClient) -> None:
        asks = {
            "Origin": there,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        }
        asked = await client.http.options("/whep", headers=asks)
        assert asked.status_code == 200
        assert asked.headers["Access-Control-Allow-Origin"] == there
        assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
        answer = await client.http.post(
            "/whep?avatar=face", content=OFFER, headers={**SDP, "Origin": there}
        )
        assert answer.status_code == 201
        assert answer.headers["Access-Control-Allow-Origin"] == there
        assert "Location" in answer.headers["Access-Control-Expose-Headers"]
        asks["Origin"] = "https://other.example.org"
        asked = await client.http.options("/whep", headers=asks)
        assert "Access-Control-Allow-Origin" not in asked.headers

    run_client(test, ServeSettings(rate=0, origins=(there,)))


def test_a_session_that_ends_while_it_is_connected_leaves_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lipstream.server.sessions.manager.CLOSE_S", 0.01)
    going, gone = asyncio.Event(), asyncio.Event()

    async def slowly(self: object, offer: str) -> str:
        going.set()
        await gone.wait()
        return ANSWER

    async def test(client: AppClient) -> None:
        made = await client.open()
        monkeypatch.setattr("tests.server.fake_runtime.FakeConnection.accept", slowly)
        asked = asyncio.create_task(client.http.post(made["whep_url"], content=OFFER, headers=SDP))
        await going.wait()
        assert (await client.http.delete(f"/v1/sessions/{made['id']}")).status_code == 204
        gone.set()
        assert (await asked).status_code == 404
        assert client.runtime.connections[0].closed and len(client.manager) == 0

    run_client(test)


def test_a_player_that_names_no_avatar_gets_the_first() -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.post("/whep", content=OFFER, headers=SDP)
        assert answer.status_code == 201
        opened = (await client.http.get("/v1/sessions")).json()["sessions"]
        assert [session["avatar"] for session in opened] == ["face"]

    run_client(test)


def test_without_any_avatar_a_player_is_told() -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.post("/whep", content=OFFER, headers=SDP)
        assert answer.status_code == 404
        assert answer.json()["error"]["message"].startswith("no avatar is offered; upload one")

    run_client(test, avatars={})
