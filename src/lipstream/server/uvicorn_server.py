"""uvicorn around the application: one socket, one loop, and a graceful end."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable
from types import FrameType

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from lipstream.errors import LipstreamError, reason_of
from lipstream.server.api.audio_socket import MAX_MESSAGE_BYTES
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.websocket_protocol import WebSocketProtocol

MAX_CONNECTIONS = 500  # at once; each is a descriptor
MAX_HEADER_BYTES = 16 * 1024
HEADER_S = 10.0  # from the connection, or a request's first byte, to the end of its header
CLOSE_S = 5  # for requests that are still being answered at the end
PING_S = 20.0  # between pings, which keep proxies from closing a quiet WebSocket

log = logging.getLogger("lipstream.server")


def bind(host: str, port: int) -> socket.socket:
    """A socket for the server; LipstreamError when the address is not available."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise LipstreamError(
            f"--host {host} cannot be used: {reason_of(error)}; give an address of this machine."
        ) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            wrong = f"port {port} of {host} is in use; choose another one with --port"
        elif error.errno == errno.EACCES:
            wrong = f"port {port} needs more rights; choose one above 1023 with --port"
        else:
            wrong = f"{host}:{port} cannot be used: {reason_of(error)}; change --host or --port"
        raise LipstreamError(f"{wrong}.") from error
    return bound


def address_of(bound: socket.socket) -> str:
    """The URL of the socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: FastAPI, bound: socket.socket, drain_timeout_s: int, on_ready: Callable[[], None]
) -> None:
    """Serve until SIGTERM or Ctrl-C; speech that is being played may then be finished, but a second
    signal stops at once. LipstreamError when the application does not start."""
    server = Server(configured(app), app.state.manager, drain_timeout_s, on_ready)
    try:
        server.run(sockets=[bound])
    except SystemExit as error:  # so uvicorn reports, after logging it, that the lifespan failed
        raise LipstreamError("the server could not start; its log says why.") from error


def configured(app: FastAPI) -> uvicorn.Config:
    """The settings with which uvicorn serves `app`."""
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=TimeoutProtocol,
        ws=WebSocketProtocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=None,  # a pong may wait behind a minute of speech
        ws_per_message_deflate=False,
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_graceful_shutdown=CLOSE_S,
    )


class Server(uvicorn.Server):
    """Goes on serving after a signal while speech is played, for at most `drain_timeout_s`."""

    def __init__(
        self,
        config: uvicorn.Config,
        manager: SessionManager,
        drain_timeout_s: int,
        on_ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._manager, self._on_ready = manager, on_ready
        self._drain_timeout_s = drain_timeout_s
        self._until: float | None = None  # monotonic seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Signals interrupt anything: only flags are changed."""
        if self._until is None:
            self._until = time.monotonic() + self._drain_timeout_s
            self._manager.draining = True
        elif self._until > 0:
            self._until = 0.0
        else:
            self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        if self._until is not None and (not self._manager.busy or time.monotonic() >= self._until):
            log.info("stopping", extra={"sessions": len(self._manager)})
            self.should_exit = True
        return await super().on_tick(counter)


class TimeoutProtocol(H11Protocol):
    """uvicorn's protocol, which by itself waits for the rest of a header for ever."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._check_deadline()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._check_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._cancel_deadline()
        super().handle_websocket_upgrade(event)

    def _check_deadline(self) -> None:
        """Start the deadline where a request has begun, cancel it where a header is complete."""
        if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
            self._cancel_deadline()
        elif self._deadline is None and self.timeout_keep_alive_task is None:
            self._deadline = self.loop.call_later(HEADER_S, self._time_out)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _time_out(self) -> None:
        self._deadline = None
        self.transport.close()
