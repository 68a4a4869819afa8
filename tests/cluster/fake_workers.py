"""A front before applications of this process, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx

from lipstream.cluster.front.app import Front
from lipstream.cluster.front.upstream import Upstream
from lipstream.live.clock import ManualClock
from lipstream.server.settings import ServeSettings
from tests.server.app_client import BASE, PATIENCE_S, AppClient, open_client, settle
from tests.server.fake_runtime import FakeRuntime

TOKEN = "right-token-0123"


@dataclass
class FakeNetwork(httpx.AsyncBaseTransport):
    """Leads to the applications by their ports; `broken` ones fail as it says."""

    apps: dict[int, httpx.ASGITransport] = field(default_factory=dict)
    broken: dict[int, Exception] = field(default_factory=dict)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        port = request.url.port or 80
        if port in self.broken:
            raise self.broken[port]
        return await self.apps[port].handle_async_request(request)


@dataclass
class FakePool:
    """Workers by hand."""

    urls: dict[str, str] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)

    async def workers(self) -> Mapping[str, str]:
        return dict(self.urls)

    async def hung(self, worker: str) -> None:
        self.killed.append(worker)


@dataclass
class FakeCluster:
    """A front, its workers w1, w2, ... and a client."""

    front: Front
    pool: FakePool
    network: FakeNetwork
    clock: ManualClock
    workers: dict[str, AppClient]
    http: httpx.AsyncClient

    async def look(self) -> None:
        """Let the front look at its workers once more."""
        await self.front.watch.look()

    async def open(self, avatar: str = "face") -> dict[str, str]:
        answer = await self.http.post("/v1/sessions", json={"avatar": avatar})
        assert answer.status_code == 201, answer.text
        made: dict[str, str] = answer.json()
        return made

    def port(self, worker: str) -> int:
        return int(self.pool.urls[worker].rpartition(":")[2])

    def kill(self, worker: str) -> None:
        """As a process that is gone: nobody listens there."""
        error = httpx.ConnectError("refused")
        error.__cause__ = ConnectionRefusedError()
        self.network.broken[self.port(worker)] = error

    def hang(self, worker: str) -> None:
        """As a process that is stopped: it takes what comes and answers nothing."""
        self.network.broken[self.port(worker)] = httpx.ReadTimeout("no answer")


@asynccontextmanager
async def open_cluster(
    count: int = 3, settings: ServeSettings | None = None, runtimes: list[FakeRuntime] | None = None
) -> AsyncIterator[FakeCluster]:
    """Workers with room for three sessions each, by default, before which is a front."""
    settings = settings or ServeSettings(rate=0, cores=8, connect_timeout_s=600)
    pool, network, clock = FakePool(), FakeNetwork(), ManualClock()
    workers: dict[str, AppClient] = {}
    async with AsyncExitStack() as stack:
        for number in range(1, count + 1):
            worker, port = f"w{number}", 9000 + number
            runtime = runtimes[number - 1] if runtimes else None
            opened = open_client(replace(settings, worker_id=worker), runtime=runtime)
            workers[worker] = await stack.enter_async_context(opened)
            pool.urls[worker] = f"http://127.0.0.1:{port}"
            network.apps[port] = httpx.ASGITransport(workers[worker].app)
        front = Front(settings, pool, upstream=Upstream(network), clock=clock)
        await front.watch.look()
        transport = httpx.ASGITransport(front)
        client = httpx.AsyncClient(transport=transport, base_url=BASE, timeout=PATIENCE_S)
        http = await stack.enter_async_context(client)
        yield FakeCluster(front, pool, network, clock, workers, http)
        await settle()


def run_cluster(
    test: Callable[[FakeCluster], Awaitable[None]],
    count: int = 3,
    settings: ServeSettings | None = None,
    runtimes: list[FakeRuntime] | None = None,
) -> None:
    """Run `test` with a cluster of its own."""

    async def run() -> None:
        async with open_cluster(count, settings, runtimes) as cluster:
            await asyncio.wait_for(test(cluster), PATIENCE_S)

    asyncio.run(run())
