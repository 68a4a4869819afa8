"""Several workers are one server to whoever asks the front."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from lipstream.cluster.front.watch import HUNG, LOOK_MS
from lipstream.server.admission import Cost
from lipstream.server.settings import ServeSettings
from tests.cluster.fake_workers import TOKEN, FakeCluster, run_cluster
from tests.fakes import blank_avatar
from tests.server.app_client import SDP, settle, until
from tests.server.avatars.portraits import FACE
from tests.server.fake_runtime import OFFER, FakeRuntime

CLOSED = ServeSettings(token=TOKEN, rate=0, cores=8, connect_timeout_s=600)
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def worker_of(session: dict[str, str]) -> str:
    return session["id"].partition("-")[2]


def test_sessions_are_spread_until_all_places_are_taken() -> None:
    async def test(cluster: FakeCluster) -> None:
        opened = Counter([worker_of(await cluster.open()) for _ in range(9)])
        assert opened == {"w1": 3, "w2": 3, "w3": 3}
        answer = await cluster.http.post("/v1/sessions", json={"avatar": "face"})
        assert answer.status_code == 503 and answer.json()["error"]["code"] == "full"
        assert int(answer.headers["Retry-After"]) > 0
        assert (await cluster.http.get("/v1/config")).json()["max_sessions"] == 9

    run_cluster(test)


def test_everything_of_a_session_reaches_its_worker() -> None:
    async def test(cluster: FakeCluster) -> None:
        for _ in range(3):
            made = await cluster.open()
            manager = cluster.workers[worker_of(made)].manager
            answer = await cluster.http.post(made["whep_url"], content=OFFER, headers=SDP)
            assert answer.status_code == 201 and answer.text.startswith("v=0")
            assert len(answer.headers.get_list("link")) == 2
            patch = {"content-type": "application/trickle-ice-sdpfrag"}
            there = answer.headers["location"]
            content = "a=candidate:1"
            sent = await cluster.http.patch(there, content=content, headers=patch)
            assert sent.status_code == 204
            assert (await cluster.http.get(f"/v1/sessions/{made['id']}")).status_code == 200
            assert (await cluster.http.delete(there)).status_code == 200
            assert (await cluster.http.delete(f"/v1/sessions/{made['id']}")).status_code == 204
            assert len(manager) == 0

    run_cluster(test)


def test_a_player_opens_and_connects_in_one_call() -> None:
    async def test(cluster: FakeCluster) -> None:
        answers = [await cluster.http.post("/whep", content=OFFER, headers=SDP) for _ in range(3)]
        assert {answer.headers["location"].split("/")[3][33:] for answer in answers} == {
            "w1",
            "w2",
            "w3",
        }
        for answer in answers:
            assert (await cluster.http.delete(answer.headers["location"])).status_code == 200

    run_cluster(test)


def test_a_worker_that_turns_out_full_is_passed_over() -> None:
    async def test(cluster: FakeCluster) -> None:
        outside = cluster.workers["w1"]
        await outside.open()  # the front has not looked since
        opened = [worker_of(await cluster.open()) for _ in range(3)]
        assert opened == ["w2"] * 3

    run_cluster(test, 2, runtimes=[FakeRuntime(cost=Cost(400.0, 2.0, 0.1)), FakeRuntime()])


def test_nobody_is_refused_for_a_load_that_is_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The front looks at its workers once more before it says that they are full."""
    monkeypatch.setattr("lipstream.cluster.placement.MAX_FULL_TRIED", 0)

    async def test(cluster: FakeCluster) -> None:
        made = [await cluster.open() for _ in range(3)]
        looking = asyncio.create_task(cluster.front.watch.watch())
        await settle()
        (worker,) = cluster.workers.values()
        await worker.http.delete(f"/v1/sessions/{made[0]['id']}")  # not through the front
        opening = asyncio.create_task(cluster.open())
        await settle()
        assert not opening.done()
        cluster.clock.advance(LOOK_MS)
        assert worker_of(await opening) == "w1"
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    run_cluster(test, 1)


def test_operators_see_and_end_all_sessions() -> None:
    async def test(cluster: FakeCluster) -> None:
        made = [await cluster.open() for _ in range(3)]
        listed = (await cluster.http.get("/v1/sessions", headers=BEARER)).json()["sessions"]
        assert {one["id"] for one in listed} == {one["id"][:8] for one in made}
        for one in listed:
            gone = await cluster.http.delete(f"/v1/sessions/{one['id']}", headers=BEARER)
            assert gone.status_code == 204
        assert not (await cluster.http.get("/v1/sessions", headers=BEARER)).json()["sessions"]
        cluster.http.headers.clear()
        refused = await cluster.http.get("/v1/sessions", headers={"Host": "127.0.0.1"})
        assert refused.status_code == 401

    async def with_token(cluster: FakeCluster) -> None:
        cluster.http.headers.update(BEARER)
        await cluster.look()
        await test(cluster)

    run_cluster(with_token, settings=CLOSED)


def test_a_session_s_token_opens_the_picture_through_the_front() -> None:
    async def test(cluster: FakeCluster) -> None:
        made = [
            (
                await cluster.http.post("/v1/sessions", json={"avatar": "face"}, headers=BEARER)
            ).json()
            for _ in range(3)
        ]
        for one in made:
            own = {"Authorization": f"Bearer {one['token']}", "Origin": "https://example.org"}
            for path in ("/v1/avatars/face/picture", f"/v1/sessions/{one['id']}"):
                answer = await cluster.http.get(path, headers=own)
                assert answer.status_code == 200, path
                assert answer.headers["Access-Control-Allow-Origin"] == "*"

    run_cluster(test, settings=CLOSED)


def test_an_upload_is_used_wherever_it_is() -> None:
    """Also where workers share no avatars."""

    async def test(cluster: FakeCluster) -> None:
        cluster.http.headers["Host"] = "127.0.0.1:8080"
        answer = await cluster.http.post("/v1/avatars", files=FACE)
        assert answer.status_code == 202, answer.text
        avatar = answer.json()["id"]
        (owner,) = (
            worker
            for worker, client in cluster.workers.items()
            if avatar in [one.id for one in client.app.state.registry.list(unlisted=True)]
        )
        entry = await cluster.workers[owner].app.state.registry.find(avatar)
        entry.task.cancel()
        entry.avatar, entry.cost, entry.status = blank_avatar(), Cost(1, 1, 0.1), "ready"
        found = await cluster.http.get(f"/v1/avatars/{avatar}")
        assert found.json()["id"] == avatar
        listed = (await cluster.http.get("/v1/avatars?all=1")).json()["avatars"]
        assert [one["id"] for one in listed] == ["face", avatar]
        assert worker_of(await cluster.open(avatar)) == owner
        assert (await cluster.http.delete(f"/v1/avatars/{avatar}")).status_code == 204
        assert (await cluster.http.get(f"/v1/avatars/{avatar}")).status_code == 404

    run_cluster(test)


def test_a_session_opens_where_a_shared_avatar_is_ready(tmp_path: Path) -> None:
    settings = ServeSettings(rate=0, cores=8, connect_timeout_s=600, data=tmp_path / "avatars")

    async def test(cluster: FakeCluster) -> None:
        cluster.http.headers["Host"] = "127.0.0.1:8080"
        avatar = (await cluster.http.post("/v1/avatars", files=FACE)).json()["id"]
        entries = [await one.app.state.registry.find(avatar) for one in cluster.workers.values()]
        early = await cluster.http.post("/v1/sessions", json={"avatar": avatar})
        assert early.json()["error"]["code"] == "preparing"
        await until(lambda: any(entry.status == "ready" for entry in entries))
        await cluster.open(avatar)

    run_cluster(test, settings=settings)


def test_a_session_takes_the_place_of_another_on_its_worker() -> None:
    async def test(cluster: FakeCluster) -> None:
        made = [await cluster.open() for _ in range(9)]
        for old in (made[0], made[4]):
            request = {"avatar": "face", "replaces": old["id"]}
            answer = await cluster.http.post("/v1/sessions", json=request)
            assert answer.status_code == 201 and worker_of(answer.json()) == worker_of(old)
            await settle()
            assert (await cluster.http.get(f"/v1/sessions/{old['id']}")).status_code == 404

    run_cluster(test)


def test_only_the_sessions_of_a_dead_worker_are_gone() -> None:
    async def test(cluster: FakeCluster) -> None:
        made = [await cluster.open() for _ in range(3)]
        cluster.kill("w2")
        for noticed in (False, True):
            for one in made:
                answer = await cluster.http.get(f"/v1/sessions/{one['id']}")
                gone = worker_of(one) == "w2"
                assert answer.status_code == (404 if gone else 200)
                assert not gone or answer.json()["error"]["code"] == "worker_gone"
            assert (await cluster.http.get("/")).status_code == 200
            assert "w2" not in [worker_of(await cluster.open()) for _ in range(2)]
            if not noticed:  # by whoever supervises it
                del cluster.pool.urls["w2"]
                await cluster.look()

    run_cluster(test)


def test_pages_elsewhere_can_read_that_their_session_is_gone() -> None:
    async def test(cluster: FakeCluster) -> None:
        gone = f"/v1/sessions/{'0' * 32}-w9"
        page = {"Origin": "https://example.org"}
        asked = {**page, "Access-Control-Request-Method": "DELETE"}
        assert (await cluster.http.options(gone, headers=asked)).status_code == 200
        answer = await cluster.http.get(gone, headers=page)
        assert answer.json()["error"]["code"] == "worker_gone"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "default-src" in answer.headers["Content-Security-Policy"]

    run_cluster(test, 1)


def test_a_worker_that_does_not_answer_is_told_of_and_replaced() -> None:
    async def test(cluster: FakeCluster) -> None:
        made = [await cluster.open() for _ in range(3)]
        cluster.hang("w1")
        (one,) = (one for one in made if worker_of(one) == "w1")
        answer = await cluster.http.get(f"/v1/sessions/{one['id']}")
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "worker_unreachable"
        for missing in range(HUNG):
            assert cluster.pool.killed == []
            assert (await cluster.http.get("/readyz")).status_code == 200
            await cluster.look()
            assert missing < 1 or "w1" not in [
                target["labels"]["worker"]
                for target in (await cluster.http.get("/v1/cluster")).json()
            ]
        assert cluster.pool.killed == ["w1"]

    run_cluster(test)
