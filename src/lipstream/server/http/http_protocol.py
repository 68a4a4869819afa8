"""HTTP/1.1 on one TCP connection: uvicorn's protocol with deadlines and a bounded table."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from lipstream.server.errors import ApiError
from lipstream.server.http.connection_table import ConnectionTable, network_of
from lipstream.server.http.websocket_protocol import UNREADABLE, WebSocketProtocol
from lipstream.server.security.access import ADMITTED
from lipstream.server.settings import ServeSettings

MAX_PER_NETWORK = 128  # connections from one address
RESERVED = 12  # connections beside the others, for liveness and readiness only
HEADER_S = 10.0  # from the connection, or a request's first byte, to the end of its header
STALL_S = 20.0  # for a client to read what waits for it
PROBES = ("/healthz", "/readyz")
RETRY_S = "10"
BUSY = "the server has as many connections as it may; try again in a while."
FRAMING = {b"content-length", b"transfer-encoding"}


class ConnectionLimits:
    """The places of all connections: the ordinary ones and those reserved for probes."""

    def __init__(self, settings: ServeSettings) -> None:
        self.ordinary = ConnectionTable(settings.max_connections, MAX_PER_NETWORK)
        self.reserved = ConnectionTable(RESERVED, RESERVED)
        self._local = settings.loopback
        self._proxies = settings.trusted_networks

    def shared(self, host: str) -> bool:
        """True for an address that many clients share: a proxy's, or all of this machine's."""
        if self._local:
            return True
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


class HttpProtocol(H11Protocol):
    """uvicorn's protocol, which by itself takes any number of connections and waits for the rest
    of a header or body, and for a client that does not read, for ever."""

    def __init__(self, *arguments: Any, limits: ConnectionLimits, **others: Any) -> None:
        super().__init__(*arguments, **others)
        self._limits = limits
        self._table = limits.ordinary
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._websocket: WebSocketProtocol | None = None  # after an upgrade

    @property
    def admitted(self) -> bool:
        if self._websocket is not None:
            return ADMITTED in getattr(self._websocket, "scope", {})
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and ADMITTED in cycle.scope

    def abort(self) -> None:
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        shared = self._limits.shared(host)
        if not self._table.enter(self, network_of(host), shared=shared):
            self._table = self._limits.reserved
            self.app = probes_only(self.app)
            if not self._table.enter(self, network_of(host)):
                self.abort()
                return
        self._check_deadline()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._check_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self.forget()
        super().connection_lost(exc)

    def forget(self) -> None:
        """The connection is lost: it needs no place and no deadline any more."""
        self._table.leave(self)
        self._cancel_deadline()
        self._cancel_stall()

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._table.touch(self)
            if FRAMING <= {name for name, _ in self.headers}:
                # One of the two lies: what follows may be no request (RFC 9112, section 6.1).
                self.cycle.keep_alive = False

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._cancel_deadline()
        if self._table is self._limits.reserved:
            self.abort()
            return
        self._table.touch(self)
        super().handle_websocket_upgrade(event)
        protocol = self.transport.get_protocol()
        assert isinstance(protocol, WebSocketProtocol)
        self._websocket, protocol.on_lost = protocol, self.forget
        self._deadline = self.loop.call_later(HEADER_S, self._end_handshake)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP. A request whose body it is, is over: uvicorn would let it answer,
        too, and fails where it is a HEAD or is being answered already."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(UNREADABLE)
        self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._check_deadline()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = self.loop.call_later(STALL_S, self.abort)

    def resume_writing(self) -> None:
        self._cancel_stall()
        super().resume_writing()

    def _check_deadline(self) -> None:
        """Start the deadline where a request has begun or was answered before its end; cancel it
        where a header is complete."""
        if self._websocket is not None:
            return
        if self.transport.is_closing():
            waits = False
        elif self.conn.their_state is h11.IDLE:
            waits = self.timeout_keep_alive_task is None
        else:
            waits = self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete
        if not waits:
            self._cancel_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_S, self._time_out)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cancel_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _end_handshake(self) -> None:
        self._deadline = None
        if not self.admitted:
            self.abort()

    def _time_out(self) -> None:
        self._deadline = None
        self.transport.close()


def probes_only(app: ASGIApp) -> ASGIApp:
    """`app` for liveness and readiness; anything else is refused."""

    async def probing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in PROBES:
            await app(scope, receive, send)
            return
        headers = {"Retry-After": RETRY_S, "Connection": "close"}
        await ApiError(503, BUSY, "too_many_connections", headers).response()(scope, receive, send)

    return probing
