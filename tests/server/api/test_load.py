"""A worker of several: its ids name it, and it tells how much more it can take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lipstream.server.settings import ServeSettings
from tests.server.app_client import AppClient, run_client
from tests.server.fake_runtime import OFFER

THREE_PLACES = ServeSettings(rate=0, cores=8, connect_timeout_s=600)
BEARER = "Authorization"


async def load(client: AppClient) -> dict[str, Any]:
    answer = await client.worker.get("/v1/load")
    assert answer.status_code == 200
    read: dict[str, Any] = answer.json()
    return read


def test_the_load_tells_how_many_more_fit() -> None:
    async def test(client: AppClient) -> None:
        empty = await load(client)
        assert empty == {
            "worker": "w1",
            "sessions": 0,
            "sessions_max": 3,
            "free": 3,
            "speaking": 0,
            "draining": False,
            "overloaded": False,
            "late_share": 0.0,
        }
        made = await client.open()
        await client.connect(made)
        client.runtime.sessions[0].buffered_ms = 400
        after = await load(client)
        assert (after["sessions"], after["free"], after["speaking"]) == (1, 2, 1)
        while (await load(client))["free"]:
            await client.open()
        assert (await client.http.post("/v1/sessions", json={"avatar": "face"})).status_code == 503

    run_client(test, replace(THREE_PLACES, worker_id="w1"))


def test_what_takes_no_session_has_none_free() -> None:
    async def test(client: AppClient) -> None:
        client.runtime.fault = "the scheduler is stuck."
        assert (await load(client))["free"] == 0
        client.runtime.fault = None
        await client.open()
        client.manager.capacity.overload.raised = True
        told = await load(client)
        assert (told["free"], told["overloaded"]) == (0, True)
        client.manager.capacity.overload.raised = False
        client.manager.draining = True
        told = await load(client)
        assert (told["free"], told["draining"]) == (0, True)

    run_client(test, THREE_PLACES)


def test_ids_and_tokens_end_in_the_worker() -> None:
    async def test(client: AppClient) -> None:
        client.http.headers[BEARER] = "Bearer right-token-0123"
        made = await client.open()
        random, _, worker = made["id"].partition("-")
        assert (len(random), worker) == (32, "w1") and made["token"].endswith(".w1")
        assert made["whep_url"] == f"/v1/sessions/{made['id']}/whep"
        client.http.headers[BEARER] = f"Bearer {made['token']}"
        headers = {"content-type": "application/sdp"}
        answer = await client.http.post(made["whep_url"], content=OFFER, headers=headers)
        assert answer.headers["location"].startswith(made["whep_url"])
        assert (await client.http.delete(f"/v1/sessions/{made['id']}")).status_code == 204

    run_client(test, replace(THREE_PLACES, token="right-token-0123", worker_id="w1"))


def test_behind_an_open_front_any_name_may_lead_here() -> None:
    async def test(client: AppClient) -> None:
        headers = {"Host": "avatars.example.org", BEARER: "Bearer right-token-0123"}
        assert (await client.http.get("/v1/avatars", headers=headers)).status_code == 200

    settings = ServeSettings(rate=0, token="right-token-0123", front_host="0.0.0.0")
    run_client(test, settings)
