"""A real server on a free port, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lipstream.server.app import create_app
from lipstream.server.http.uvicorn_server import Server, address_of, bind, configured
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.settings import ServeSettings
from tests.fakes import blank_avatar
from tests.server.fake_runtime import FakeRuntime
from tests.server.fronts import open_front, own_settings
from tests.through_front import THROUGH_FRONT, WORKER

START_S = 20.0


@dataclass
class HttpServer:
    """A running server. Read its objects only: they live in another thread."""

    url: str
    runtime: FakeRuntime
    manager: SessionManager

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def open_server(
    settings: ServeSettings | None = None,
    runtime: FakeRuntime | None = None,
    avatar: str = "face",
) -> Iterator[HttpServer]:
    """A fake runtime with one avatar, behind the HTTP that users meet, or a front before it."""
    asked = settings or ServeSettings(rate=0)
    with open_worker(own_settings(asked), runtime, avatar) as server:
        if not THROUGH_FRONT:
            yield server
            return
        with open_front(asked, {asked.worker_id or WORKER: server.url}) as front:
            yield replace(server, url=front.url)


@contextmanager
def open_worker(
    settings: ServeSettings, runtime: FakeRuntime | None = None, avatar: str = "face"
) -> Iterator[HttpServer]:
    """The same, never behind a front."""
    runtime = runtime or FakeRuntime()
    app = create_app(settings, None, {avatar: blank_avatar()}, runtime=runtime)
    ready = threading.Event()
    with bind("127.0.0.1", 0) as bound:
        url = address_of(bound)
        server = Server(configured(app), app.state.manager, 0, ready.set)
        thread = threading.Thread(target=server.run, args=([bound],), name="server")
        thread.start()
        try:
            assert ready.wait(START_S)
            yield HttpServer(url, runtime, app.state.manager)
        finally:
            server.should_exit = True
            thread.join(START_S)
            assert not thread.is_alive()
