"""A real server on a free port, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lipstream.server.app import create_app
from lipstream.server.sessions.manager import Lobby
from lipstream.server.settings import ServeSettings
from lipstream.server.uvicorn_server import Server, address_of, bind, configured
from tests.fakes import blank_avatar
from tests.server.stage import FakeStage

START_S = 20.0


@dataclass
class Service:
    """Where it is, and what is in it; look only, as it lives in another thread."""

    url: str
    stage: FakeStage
    lobby: Lobby

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def open_service(
    settings: ServeSettings | None = None, stage: FakeStage | None = None
) -> Iterator[Service]:
    """A fake stage with one avatar called face, behind the HTTP that users meet."""
    stage = stage or FakeStage()
    app = create_app(settings or ServeSettings(rate=0), None, {"face": blank_avatar()}, stage=stage)
    ready = threading.Event()
    with bind("127.0.0.1", 0) as bound:
        url = address_of(bound)
        server = Server(configured(app), app.state.lobby, 0, ready.set)
        thread = threading.Thread(target=server.run, args=([bound],), name="server")
        thread.start()
        try:
            assert ready.wait(START_S)
            yield Service(url, stage, app.state.lobby)
        finally:
            server.should_exit = True
            thread.join(START_S)
            assert not thread.is_alive()
