"""Sessions that are pushed to a server of streams: their state, their deadlines, their end."""

from __future__ import annotations

from typing import Any

import pytest

from lipstream.push import live_push
from lipstream.server.sessions.deadlines import PUSH_GRACE_S
from lipstream.server.settings import ServeSettings
from tests.server.app_client import AppClient, run_client, settle, until
from tests.server.fake_outputs import FakePush
from tests.server.fake_runtime import FakeRuntime

URL = "rtmp://live.example.org/app/secret-key"
PUSHING = ServeSettings(rate=0, push_to=("rtmp://live.example.org/app",))


async def opened(client: AppClient) -> tuple[dict[str, Any], FakePush]:
    """A session with a push, which has not connected yet."""
    answer = await client.http.post("/v1/sessions", json={"avatar": "face", "push": URL})
    assert answer.status_code == 201, answer.text
    await settle()
    return answer.json(), client.runtime.pushes[-1]


async def state(client: AppClient, made: dict[str, Any]) -> dict[str, Any]:
    answer = await client.http.get(f"/v1/sessions/{made['id']}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()["push"]
    return found


def test_a_push_is_told_and_its_key_never_is(caplog: pytest.LogCaptureFixture) -> None:
    async def test(client: AppClient) -> None:
        events: list[tuple[str, dict[str, Any]]] = []
        client.manager.on_event = lambda kind, data: events.append((kind, dict(data)))
        made, push = await opened(client)
        assert [target.address.url for target in client.runtime.pushed_to] == [URL]
        counts = {"host": "live.example.org", "sent": 0, "left_out": 0}
        assert await state(client, made) == counts | {"state": "connecting", "reason": None}
        push.connect()
        assert await state(client, made) == counts | {"state": "connected", "reason": None}
        push.lose("Connection reset")
        await settle()
        found = await state(client, made)
        assert (found["state"], found["reason"]) == ("lost", "Connection reset")
        who = {"session": made["id"], "avatar": "face"}
        assert events[1:] == [
            ("push.connected", who),
            ("push.lost", who | {"reason": "Connection reset"}),
        ]
        said = caplog.text + str(events) + await client.metrics()
        assert "secret" not in said and 'lipstream_pushes_total{outcome="lost"} 1.0' in said

    with caplog.at_level("INFO"):
        run_client(test, PUSHING)


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        ("rtmp://127.0.0.1/secret", 403, "push_not_allowed"),
        ("file:///secret", 422, "invalid"),
        ("rtmp://" + "secret" * 500, 422, "invalid"),
        (["rtmp://live.example.org/app/secret"], 422, "invalid"),
    ],
)
def test_other_addresses_are_refused_and_not_repeated(url: Any, status: int, code: str) -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.post("/v1/sessions", json={"avatar": "face", "push": url})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert "secret" not in answer.text and len(client.manager) == 0

    run_client(test, PUSHING)


def test_an_endpoint_of_whip_gets_its_token_and_nobody_else() -> None:
    async def test(client: AppClient) -> None:
        body = {"avatar": "face", "push": "https://whip.example.org/a", "push_token": "hidden.42"}
        answer = await client.http.post("/v1/sessions", json=body)
        assert answer.status_code == 201 and "hidden" not in answer.text
        (target,) = client.runtime.pushed_to
        assert target.token == "hidden.42" and "hidden" not in repr(target)
        for wrong in ({"push": URL}, {"push": None}, {"push_token": "hidden\r\nX: y"}):
            answer = await client.http.post("/v1/sessions", json=body | wrong)
            assert answer.status_code == 422 and "hidden" not in answer.text

    beginnings = (*PUSHING.push_to, "https://whip.example.org/")
    run_client(test, ServeSettings(rate=0, push_to=beginnings), runtime=FakeRuntime(parallelism=9))


def test_a_session_waits_for_its_push_and_lives_while_it_is_connected() -> None:
    async def test(client: AppClient) -> None:
        made, push = await opened(client)
        await client.pass_time(PUSH_GRACE_S - 2)
        push.connect()
        await client.pass_time(PUSH_GRACE_S + 2)
        assert (await state(client, made))["state"] == "connected"
        assert client.session(made).watched
        push.lose("gone")
        await client.pass_time(PUSH_GRACE_S - 2)
        assert (await state(client, made))["state"] == "lost"
        await client.pass_time(4)
        assert len(client.manager) == 0
        assert 'closed_total{reason="vanished"} 1.0' in await client.metrics()

    run_client(test, PUSHING)


def test_a_push_that_is_never_taken_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_push, "RETRY_S", 0)

    async def test(client: AppClient) -> None:
        _, push = await opened(client)
        for _ in range(2):  # each try fails
            await client.pass_time(PUSH_GRACE_S / 2 - 2)
            push.lose("Connection refused")
            await until(lambda: push.tried)
        await client.pass_time(6)
        made, push = await opened(client)
        push.refuse("401, the token is wrong")
        await settle()
        found = await state(client, made)
        assert (found["state"], found["reason"]) == ("failed", "401, the token is wrong")
        await client.pass_time(17)  # in which a viewer might still come
        assert len(client.manager) == 0
        assert 'closed_total{reason="unconnected"} 2.0' in await client.metrics()

    run_client(test, PUSHING)


def test_an_idle_one_ends_as_any_other() -> None:
    async def test(client: AppClient) -> None:
        _, push = await opened(client)
        push.connect()
        await client.pass_time(60)
        assert len(client.manager) == 0 and push.ended
        assert 'closed_total{reason="idle"} 1.0' in await client.metrics()

    run_client(test, ServeSettings(rate=0, push_to=PUSHING.push_to, idle_timeout_s=30))


def test_a_push_takes_units_without_a_viewer_and_ends_with_the_session() -> None:
    async def test(client: AppClient) -> None:
        made, push = await opened(client)
        push.connect()
        await settle()
        assert push.given == 1  # all that a fake session gives
        await client.http.delete(f"/v1/sessions/{made['id']}")
        assert push.ended and len(client.manager) == 0
        await opened(client)  # ended by the server, not connected yet

    run_client(test, PUSHING)


def test_a_push_counts_for_admission() -> None:
    async def test(client: AppClient) -> None:
        made, _ = await opened(client)
        assert client.session(made).cost == client.runtime.cost.with_outputs(pushed=True)

    run_client(test, PUSHING, runtime=FakeRuntime(parallelism=9))
