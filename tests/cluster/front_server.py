"""A real front before several real servers, all in threads of this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from lipstream.cluster.front.app import Front
from lipstream.server.settings import ServeSettings
from tests.server.fronts import open_front
from tests.server.http_server import HttpServer, open_worker


@dataclass
class FrontedServers:
    """The front's address, and the servers behind it."""

    url: str
    workers: dict[str, HttpServer]
    front: Front


@contextmanager
def open_fronted(count: int = 2, settings: ServeSettings | None = None) -> Iterator[FrontedServers]:
    """A front on a free port."""
    settings = settings or ServeSettings(rate=0, cores=8, connect_timeout_s=600)
    with ExitStack() as stack:
        names = [f"w{number + 1}" for number in range(count)]
        workers = {
            name: stack.enter_context(open_worker(replace(settings, worker_id=name)))
            for name in names
        }
        urls = {name: one.url for name, one in workers.items()}
        opened = stack.enter_context(open_front(settings, urls))
        yield FrontedServers(opened.url, workers, opened.front)
