"""uvicorn's WebSocket protocol, with bounds on what a client can make it keep or do.

By itself it answers pings also while the client reads none of the answers, keeps empty fragments
without end, parses all that one read of the socket gave before anything else has a turn, and waits
for ever for a client that is not taking what was written before the end. It takes refusals, and
text that is no UTF-8, for errors of the application.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import State

from lipstream.server.token_bucket import TokenBucket

SLICE_BYTES = 4 * 1024  # parsed at one turn of the event loop: 700 frames at most
MAX_BARE_FRAMES = 200  # pings, pongs and empty fragments at once; browsers send none by themselves
BARE_FRAMES_PER_S = 20.0  # of them in the long run
LINGER_S = 3.0  # for a client to take what was written to it before the end
NO_UTF8, POLICY = 1007, 1008  # RFC 6455, section 7.4.1
UNREADABLE = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

log = logging.getLogger("lipstream.server")


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Reads a client no faster than it reads us, and ends within `LINGER_S` of its application."""

    on_lost: Callable[[], None] | None = None  # called when the connection is lost

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unread = memoryview(b"")  # received and not yet parsed
        self._turn: asyncio.Handle | None = None  # at which the next slice of it is parsed
        self._bare_frames = TokenBucket(BARE_FRAMES_PER_S, MAX_BARE_FRAMES)
        self._abort_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        self._unread = memoryview(bytes(self._unread) + data)
        self._parse_slice()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unread = memoryview(b"")
        for handle in (self._turn, self._abort_timer):
            if handle is not None:
                handle.cancel()
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._pace()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._pace()

    async def receive(self) -> Any:
        message = await super().receive()
        self._pace()
        return message

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # with a response instead
            log.info("WebSocket refused", extra={"status": self.initial_response[0]})
        self._pace()

    async def run_asgi(self) -> None:
        await super().run_asgi()
        if not self.disconnected:
            self._abort_timer = self.loop.call_later(LINGER_S, self.transport.abort)

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                if self.conn.state is State.OPEN:  # not behind it, in the same slice, was its end
                    self.conn.send_close(NO_UTF8)
                    self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        super().handle_ping()
        self._count_bare_frame()

    def handle_pong(self, event: Frame) -> None:
        super().handle_pong(event)
        self._count_bare_frame()

    def handle_cont(self, event: Frame) -> None:
        if event.data or event.fin:
            super().handle_cont(event)
        else:
            self._count_bare_frame()

    def _parse_slice(self) -> None:
        self._turn = None
        if self.transport.is_closing():
            self._unread = memoryview(b"")
            return
        data, self._unread = self._unread[:SLICE_BYTES], self._unread[SLICE_BYTES:]
        super().data_received(bytes(data))
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(UNREADABLE)  # which uvicorn would leave open without an answer
            self.transport.close()
            return
        self._pace()

    def _pace(self) -> None:
        """Go on where neither the application nor the client has anything to take first."""
        waits = self.read_paused or not self.writable.is_set()
        if waits or self._unread:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
        if self._unread and not waits and self._turn is None:
            self._turn = self.loop.call_soon(self._parse_slice)

    def _count_bare_frame(self) -> None:
        if not self._bare_frames.take() and not self.close_sent:
            self.conn.fail(POLICY, "too many frames that carry nothing")
            self.handle_parser_exception()
