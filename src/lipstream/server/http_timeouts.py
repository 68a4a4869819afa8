"""HTTP/1.1 with a deadline for headers, so that slow clients do not gather."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_S = 10.0  # from the connection, or a request's first byte, to the end of its header


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
