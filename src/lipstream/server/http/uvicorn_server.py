"""uvicorn around the application: one socket, one loop, and a graceful end."""

from __future__ import annotations

import errno
import functools
import logging
import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from lipstream.errors import LipstreamError, reason_of
from lipstream.server.http.http_protocol import ConnectionLimits, HttpProtocol
from lipstream.server.http.websocket_protocol import WebSocketProtocol
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.settings import ServeSettings

BACKLOG = 64  # connections that wait; so many are accepted before anything else is done
MAX_HEADER_BYTES = 16 * 1024
MAX_MESSAGE_BYTES = 128 * 1024  # of any WebSocket; most routes take less
HURRIED_CLOSE_S = 1  # the same after a second signal
CLOSE_S = 3  # for requests that are still being answered at the end
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
    """The URL of the socket; of one that listens on all addresses, that which others would use."""
    host, port = bound.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = outward_address() or socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def outward_address() -> str | None:
    """This machine's IPv4 address on the way to others; None where there is no way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737; connecting a datagram socket sends nothing
        except OSError:
            return None
        return str(probe.getsockname()[0])


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
    manager: SessionManager = app.state.manager
    limits = ConnectionLimits(manager.settings)
    manager.metrics.watch_connections(limits.ordinary)
    return hardened(app, manager.settings, limits)


def hardened(app: ASGIApp, settings: ServeSettings, limits: ConnectionLimits) -> uvicorn.Config:
    """uvicorn's settings with our protocols, which bound what any client can make them hold."""
    proxies = [str(network) for network in settings.trusted_networks]
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=functools.partial(HttpProtocol, limits=limits),  # type: ignore[arg-type]
        ws=WebSocketProtocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=None,  # a pong may wait behind a minute of speech
        ws_per_message_deflate=False,
        backlog=BACKLOG,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_graceful_shutdown=CLOSE_S,
    )


class Server(uvicorn.Server):
    """Goes on serving after a signal while speech is played to viewers, or while there are
    sessions, for at most `drain_timeout_s`."""

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
        self._announced = False  # that it drains

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Signals interrupt anything: only flags are changed."""
        if self._until is None:
            self._until = time.monotonic() + self._drain_timeout_s
            self._manager.draining = True
        else:
            self.config.timeout_graceful_shutdown = HURRIED_CLOSE_S
            self.force_exit = self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._manager.rooms.give_up()
        await super().shutdown(sockets)
        if self.force_exit:  # then uvicorn leaves this out
            await self.lifespan.shutdown()

    async def on_tick(self, counter: int) -> bool:
        if self._until is not None:
            self._drain(self._until)
        return await super().on_tick(counter)

    def _drain(self, until: float) -> None:
        """Log at once that the end has begun, and end when nobody is there to wait for."""
        left_s, speaking = until - time.monotonic(), self._manager.speaking
        sessions = len(self._manager)
        fields = {"sessions": sessions}
        if not self._announced:
            end = datetime.now(timezone.utc) + timedelta(seconds=max(left_s, 0))
            clock_time = end.strftime("%Y-%m-%dT%H:%M:%SZ")
            log.info("draining", extra={**fields, "speaking": speaking, "deadline": clock_time})
            self._announced = True
        awaited = speaking if self._manager.settings.drain == "speech" else sessions
        if not awaited or left_s <= 0:
            log.info("stopping", extra=fields)
            self.should_exit = True
