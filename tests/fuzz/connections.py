"""TCP connections to the whole application, byte by byte, without a network."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from uvicorn.server import ServerState

from lipstream.live.clock import ManualClock
from lipstream.server.app import create_app
from lipstream.server.http.uvicorn_server import configured
from lipstream.server.settings import ServeSettings
from tests.fakes import blank_avatar
from tests.fuzz.targets import Check
from tests.server.fake_runtime import FakeRuntime

TURNS = 30  # of the event loop, for what was sent to be handled
TOKEN = "nobody-guesses-it"
HANDSHAKE = (
    "GET {url} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@contextmanager
def websocket() -> Iterator[Check]:
    """Sends its input on the open WebSocket of a session."""
    with open_server(None) as server:

        def check(data: bytes) -> None:
            written = server.talk(HANDSHAKE.format(url=server.audio_url).encode(), data)
            assert written.startswith(b"HTTP/1.1 101"), written[:200]

        yield check


@contextmanager
def http() -> Iterator[Check]:
    """Sends its input on a new connection, without the token."""
    with open_server(TOKEN) as server:

        def check(data: bytes) -> None:
            written = server.talk(data)
            assert b"HTTP/1.1 500" not in written, written[:300]

        yield check


class FakeTransport(asyncio.Transport):
    """A client who reads everything."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.closed = False
        self.protocol: Any = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast(asyncio.BaseProtocol, self.protocol)

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Faults(logging.Handler):
    """Collects what should not have happened."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))

    def raised(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Note an exception that nobody has caught; a handler of the loop."""
        self.found.append(repr(context))


class ServerInProcess:
    """An application on an event loop of its own, which runs while somebody talks to it."""

    def __init__(self, token: str | None) -> None:
        self._faults = Faults()
        logging.getLogger().addHandler(self._faults)
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._faults.raised)
        self._runtime = FakeRuntime()
        settings = ServeSettings(rate=0, token=token)
        app = create_app(
            settings, None, {"face": blank_avatar()}, runtime=self._runtime, clock=ManualClock()
        )
        self._config = configured(app)
        self._config.load()
        self._lifespan = app.router.lifespan_context(app)
        self._loop.run_until_complete(self._lifespan.__aenter__())
        self.audio_url = self._loop.run_until_complete(self._open(app.state))

    async def _open(self, state: Any) -> str:
        session = state.manager.open(await state.registry.ready("face"))
        return f"/v1/sessions/{session.id}/audio"

    def close(self) -> None:
        """End the application, its threads and its loop."""
        self._loop.run_until_complete(self._lifespan.__aexit__(None, None, None))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        logging.getLogger().removeHandler(self._faults)

    def talk(self, *pieces: bytes) -> bytes:
        """Open a connection, send the pieces, hang up; returns what was answered."""
        return self._loop.run_until_complete(self._talk(pieces))

    async def _talk(self, pieces: tuple[bytes, ...]) -> bytes:
        transport = FakeTransport()
        kind: Any = self._config.http_protocol_class
        transport.protocol = kind(
            config=self._config, server_state=ServerState(), app_state={}, _loop=self._loop
        )
        transport.protocol.connection_made(transport)
        for piece in pieces:
            if piece and not transport.closed:  # nothing is what no transport hands on
                transport.protocol.data_received(piece)
            await self._turn()
        transport.closed = True
        transport.protocol.connection_lost(None)
        await self._turn()
        for session in self._runtime.sessions:
            session.utterances.clear()
            session.buffered_ms = 0
        found, self._faults.found = self._faults.found, []
        assert not found, found
        return transport.written

    async def _turn(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)


@contextmanager
def open_server(token: str | None) -> Iterator[ServerInProcess]:
    """A server and, when the block ends, nothing of it."""
    server = ServerInProcess(token)
    try:
        yield server
    finally:
        server.close()
