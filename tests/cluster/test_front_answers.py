"""The answers of a front itself: to whom it has nobody to lead, and what it refuses and tells."""

from __future__ import annotations

from collections import Counter

import httpx
import pytest

from lipstream.cluster.front.routing import worker_of_socket
from lipstream.server.settings import ServeSettings
from tests.cluster.fake_workers import TOKEN, FakeCluster, run_cluster

CLOSED = ServeSettings(token=TOKEN, rate=0, cores=8, connect_timeout_s=600)
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_an_empty_cluster_says_when_to_come_back() -> None:
    async def test(cluster: FakeCluster) -> None:
        cluster.pool.urls.clear()
        await cluster.look()
        for method, path in (("GET", "/"), ("GET", "/v1/avatars"), ("GET", "/readyz")):
            answer = await cluster.http.request(method, path)
            assert answer.status_code == 503, path
            assert answer.json()["error"]["code"] == "no_workers"
            assert int(answer.headers["Retry-After"]) > 0
        answer = await cluster.http.post("/v1/sessions", json={"avatar": "face"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_workers")
        assert (await cluster.http.get("/healthz")).status_code == 200

    run_cluster(test, 1)


def test_a_front_that_has_not_looked_yet_says_of_nobody_that_it_is_gone() -> None:
    async def test(cluster: FakeCluster) -> None:
        path = f"/v1/sessions/{'0' * 32}-w9"
        assert (await cluster.http.get(path)).json()["error"]["code"] == "worker_gone"
        cluster.front.watch.looked = False
        assert (await cluster.http.get(path)).json()["error"]["code"] == "no_workers"

    run_cluster(test, 1)


def test_a_front_that_ends_places_nothing() -> None:
    async def test(cluster: FakeCluster) -> None:
        made = await cluster.open()
        cluster.front.draining = True
        answer = await cluster.http.post("/v1/sessions", json={"avatar": "face"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stopping")
        assert (await cluster.http.get("/readyz")).status_code == 503
        assert (await cluster.http.get(f"/v1/sessions/{made['id']}")).status_code == 200

    run_cluster(test, 1)


@pytest.mark.parametrize("path", ["/metrics", "/v1/cluster", "/v1/load"])
def test_what_the_front_itself_tells_needs_the_token(path: str) -> None:
    async def test(cluster: FakeCluster) -> None:
        assert (await cluster.http.get(path)).status_code == 401
        answer = await cluster.http.get(path, headers=BEARER)
        assert answer.status_code == 200
        assert "no-store" in answer.headers["Cache-Control"]

    run_cluster(test, 1, settings=CLOSED)


def test_prometheus_finds_the_workers() -> None:
    async def test(cluster: FakeCluster) -> None:
        assert (await cluster.http.get("/v1/cluster")).json() == [
            {"targets": ["127.0.0.1:9001"], "labels": {"worker": "w1"}},
            {"targets": ["127.0.0.1:9002"], "labels": {"worker": "w2"}},
        ]
        await cluster.open()
        await cluster.look()
        told = (await cluster.http.get("/v1/load")).json()
        assert (told["sessions"], told["sessions_max"], told["free"]) == (1, 6, 5)
        metrics = (await cluster.http.get("/metrics")).text
        assert "lipstream_front_workers 2.0" in metrics
        assert 'lipstream_front_answers_total{status="201"} 1.0' in metrics

    run_cluster(test, 2)


def test_a_worker_of_another_name_is_not_used() -> None:
    async def test(cluster: FakeCluster) -> None:
        cluster.pool.urls = {"w1": cluster.pool.urls["w2"]}
        await cluster.look()
        assert (await cluster.http.get("/readyz")).status_code == 503

    run_cluster(test, 2)


def test_files_that_are_too_large_are_refused_here() -> None:
    async def test(cluster: FakeCluster) -> None:
        for path in ("/v1/sessions", "/whep"):
            answer = await cluster.http.post(path, content=b" " * 70_000)
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")

    run_cluster(test, 1)


def test_limits_count_the_client_and_not_the_front() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def test(cluster: FakeCluster) -> None:
        class Recording(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                seen.extend(request.headers.raw)
                return httpx.Response(204, stream=httpx.ByteStream(b""))

        cluster.network.apps[9001] = Recording()  # type: ignore[assignment]
        headers = {"X-Forwarded-For": "203.0.113.9", "Host": "a.example.org", "Connection": "x-a"}
        await cluster.http.get("/", headers={**headers, "X-A": "1", "TE": "trailers"})
        told = dict(seen)
        assert told[b"x-forwarded-for"] == b"127.0.0.1" and told[b"host"] == b"a.example.org"
        assert not {b"x-a", b"te", b"connection"} & told.keys()

    run_cluster(test, 1)


def test_a_dialect_s_token_opens_a_session_where_there_is_room_and_names_its_worker() -> None:
    async def test(cluster: FakeCluster) -> None:
        opened: Counter[str | None] = Counter()
        for _ in range(6):
            answer = await cluster.http.post("/compose/token", json={"faceId": "face"})
            assert answer.status_code == 201, answer.text
            query = f"session_token={answer.json()['session_token']}".encode()
            opened[worker_of_socket("/compose/webrtc/p2p", query)] += 1
        assert opened == {"w1": 3, "w2": 3}
        full = await cluster.http.post("/compose/token", json={"faceId": "face"})
        assert full.status_code == 503 and full.json()["detail"].startswith("all places are taken")

    run_cluster(test, count=2)
