"""Fronts before the servers of the tests: in the test's own process and in threads of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import httpx
from starlette.types import ASGIApp, Scope

from lipstream.cluster.front.app import Front
from lipstream.cluster.front.serving import FrontServer
from lipstream.cluster.front.upstream import Upstream
from lipstream.cluster.workers import FixedWorkers
from lipstream.live.clock import Clock
from lipstream.server.http.uvicorn_server import address_of, bind
from lipstream.server.settings import ServeSettings
from tests.server.app_socket import WorkerEnd, connect_app
from tests.through_front import THROUGH_FRONT, WORKER

START_S = 20.0


def own_settings(settings: ServeSettings) -> ServeSettings:
    """Settings of a server that is asked, or of the worker that it is."""
    if not THROUGH_FRONT:
        return settings
    trusted = ("127.0.0.1", *settings.trusted_proxies)
    return replace(settings, worker_id=settings.worker_id or WORKER, trusted_proxies=trusted)


@asynccontextmanager
async def open_front_before(
    app: ASGIApp, settings: ServeSettings, clock: Clock
) -> AsyncIterator[ASGIApp]:
    """A front in this process whose one worker is `app`; `app` itself where tests need none."""
    if not THROUGH_FRONT:
        yield app
        return

    async def connect(scope: Scope, host: str, port: int) -> WorkerEnd:
        return await connect_app(app, scope)

    pool = FixedWorkers({settings.worker_id or WORKER: "http://127.0.0.1:8080"})
    upstream = Upstream(httpx.ASGITransport(app, raise_app_exceptions=False))
    front = Front(settings, pool, upstream=upstream, connect=connect, clock=clock)
    await front.watch.look()
    yield front


@dataclass
class FrontThread:
    """A front on a free port. Read its objects only: they live in another thread."""

    url: str
    front: Front


@contextmanager
def open_front(settings: ServeSettings, workers: Mapping[str, str]) -> Iterator[FrontThread]:
    """A real front before servers by their ids and base URLs, in a thread of its own."""
    front, ready = Front(settings, FixedWorkers(workers)), threading.Event()
    servers: list[FrontServer] = []

    async def serve() -> None:
        server = FrontServer(front, 0, None)
        servers.append(server)
        starting = asyncio.create_task(server.start_workers(ready.set))
        await server.serve(sockets=[bound])
        await starting

    with bind("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="front")
        thread.start()
        try:
            assert ready.wait(START_S)
            yield FrontThread(address_of(bound), front)
        finally:
            servers[0].should_exit = True
            thread.join(START_S)
            assert not thread.is_alive()
