"""A real front before real servers, all in threads of this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from lipstream.cluster.front.app import Front
from lipstream.cluster.front.serving import FrontServer
from lipstream.cluster.workers import FixedWorkers
from lipstream.server.http.uvicorn_server import address_of, bind
from lipstream.server.settings import ServeSettings
from tests.server.http_server import START_S, HttpServer, open_server


@dataclass
class FrontedServers:
    """The front's address, and the servers behind it."""

    url: str
    workers: dict[str, HttpServer]
    front: Front


@contextmanager
def open_front(count: int = 2, settings: ServeSettings | None = None) -> Iterator[FrontedServers]:
    """A front on a free port."""
    settings = settings or ServeSettings(rate=0, cores=8, connect_timeout_s=600)
    with ExitStack() as stack:
        names = [f"w{number + 1}" for number in range(count)]
        workers = {
            name: stack.enter_context(open_server(replace(settings, worker_id=name)))
            for name in names
        }
        bound = stack.enter_context(bind("127.0.0.1", 0))
        pool = FixedWorkers({name: one.url for name, one in workers.items()})
        front, ready = Front(settings, pool), threading.Event()
        loop_and_server: list[FrontServer] = []

        async def serve() -> None:
            server = FrontServer(front, 0, None)
            loop_and_server.append(server)
            starting = asyncio.create_task(server.start_workers(ready.set))
            await server.serve(sockets=[bound])
            await starting

        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="front")
        thread.start()
        try:
            assert ready.wait(START_S)
            yield FrontedServers(address_of(bound), workers, front)
        finally:
            loop_and_server[0].should_exit = True
            thread.join(START_S)
            assert not thread.is_alive()
