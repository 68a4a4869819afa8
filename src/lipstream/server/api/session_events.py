"""WebSocket out: the events of a session, for whoever listens.

`WS /v1/sessions/{id}/events` sends them alone. Several may listen, as those who show the avatar are
often not those who speak: one socket speaks, `WS .../audio`, and it is sent the events as well.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from fastapi import APIRouter, WebSocket

from lipstream.live.session.session import Session
from lipstream.live.session.types import SessionEvent
from lipstream.server.api.socket_messages import BufferedEvent, ServerEvent, as_json, message_of
from lipstream.server.api.socket_sender import POLICY, SocketSender, serve_socket
from lipstream.server.sessions.manager import SessionManager

BUFFERED_EVERY_S = 0.25  # least time between two `buffered` events
MAX_EVENTS = 64  # that wait for a client that does not read


def event_routes(manager: SessionManager) -> APIRouter:
    """WS /v1/sessions/{id}/events"""
    router = APIRouter()

    @router.websocket("/v1/sessions/{session_id}/events")
    async def events(socket: WebSocket, session_id: str) -> None:
        def open_sender(stack: contextlib.ExitStack) -> EventSender:
            session = manager.find(session_id)
            sender = EventSender(socket, session.live)
            stack.enter_context(session.listening(sender.leave))
            return sender

        await serve_socket(socket, open_sender)

    return router


class EventSender(SocketSender):
    """The events of one session on their way to one WebSocket, at most `MAX_EVENTS` of them."""

    def __init__(self, socket: WebSocket, live: Session) -> None:
        super().__init__(socket)
        self._live = live
        self._events: asyncio.Queue[ServerEvent] = asyncio.Queue(MAX_EVENTS)
        self._buffered_ms = 0  # as sent last
        self.interrupts = 0  # `interrupted` events so far

    async def run(self, receiving: Coroutine[Any, Any, None]) -> None:
        """Send events, beside the coroutine `receiving`, until `finish`; then close the socket."""
        if self._live.closed:  # while the socket was accepted
            self.leave()
        remove_listener = self._live.add_listener(self._on_event)
        try:
            await super().run(receiving)
        finally:
            remove_listener()

    def put(self, event: ServerEvent) -> None:
        """Send `event` behind the others; a client that does not read them is closed."""
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self.finish((POLICY, "events are not read"))

    async def _send_all(self) -> None:
        """Send events, and now and then how much speech waits, when that has changed."""
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        while not self.over:  # `wait_for` may swallow a cancellation
            with contextlib.suppress(asyncio.TimeoutError):
                event = await asyncio.wait_for(self._events.get(), BUFFERED_EVERY_S)
                if not await self._send(as_json(event)):
                    return
            buffered_ms = self._live.buffered_ms
            if buffered_ms != self._buffered_ms and loop.time() - sent_at >= BUFFERED_EVERY_S:
                self._buffered_ms, sent_at = buffered_ms, loop.time()
                if not await self._send(as_json(BufferedEvent(ms=buffered_ms))):
                    return

    def _on_event(self, event: SessionEvent) -> None:
        self.interrupts += event.kind == "interrupted"
        self.put(message_of(event))
