"""WebSocket out: the events of a session, for whoever listens.

`WS /v1/sessions/{id}/events` sends them alone. Several may listen, as those who show the avatar are
often not those who speak: one socket speaks, `WS .../audio`, and it is sent the events as well.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from lipstream.live.session.session import Session
from lipstream.live.session.types import SessionEvent
from lipstream.server.api.socket_messages import BufferedEvent, ServerEvent, as_json, message_of
from lipstream.server.errors import ApiError
from lipstream.server.security.access import bearer_protocol
from lipstream.server.sessions.manager import SessionManager

BUFFERED_EVERY_S = 0.25  # least time between two `buffered` events
MAX_EVENTS = 64  # that wait for a client that does not read
CLOSE_S = 2.0

GOING_AWAY, POLICY, TOO_BIG = 1001, 1008, 1009  # RFC 6455, section 7.4.1


def event_routes(manager: SessionManager) -> APIRouter:
    """WS /v1/sessions/{id}/events"""
    router = APIRouter()

    @router.websocket("/v1/sessions/{session_id}/events")
    async def events(socket: WebSocket, session_id: str) -> None:
        with contextlib.ExitStack() as listening:
            try:
                session = manager.find(session_id)
                sender = EventSender(socket, session.live)
                listening.enter_context(session.listening(sender.leave))
            except ApiError as refusal:
                await socket.send_denial_response(refusal.response())
                return
            await socket.accept(subprotocol=bearer_protocol(socket.scope.get("subprotocols", ())))
            await sender.run(_refuse_messages(socket, sender))

    return router


async def _refuse_messages(socket: WebSocket, sender: EventSender) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        sender.finish((POLICY, "this socket takes no messages; speak by .../audio"))
    sender.finish(None)


class EventSender:
    """The events of one session on their way to one WebSocket, at most `MAX_EVENTS` of them."""

    def __init__(self, socket: WebSocket, live: Session) -> None:
        self._socket, self._live = socket, live
        self._events: asyncio.Queue[ServerEvent] = asyncio.Queue(MAX_EVENTS)
        self._buffered_ms = 0  # as sent last
        self._over: asyncio.Future[tuple[int, str] | None] = asyncio.Future()
        self.interrupts = 0  # `interrupted` events so far

    @property
    def over(self) -> bool:
        """True once either side has ended it."""
        return self._over.done()

    async def run(self, receiving: Coroutine[Any, Any, None]) -> None:
        """Send events, beside the coroutine `receiving`, until `finish`; then close the socket."""
        if self._live.closed:  # while the socket was accepted
            self.leave()
        remove_listener = self._live.add_listener(self._on_event)
        tasks = [asyncio.create_task(receiving), asyncio.create_task(self._send_events())]
        try:
            waited: list[asyncio.Future[Any]] = [*tasks, self._over]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.finish(None)
            remove_listener()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error  # a fault of ours
        if (ending := self._over.result()) is not None:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError, asyncio.TimeoutError):
                await asyncio.wait_for(self._socket.close(*ending), CLOSE_S)

    def put(self, event: ServerEvent) -> None:
        """Send `event` behind the others; a client that does not read them is closed."""
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self.finish((POLICY, "events are not read"))

    def leave(self) -> None:
        """The session ends."""
        self.finish((GOING_AWAY, "the session has ended"))

    def finish(self, ending: tuple[int, str] | None) -> None:
        """Let `run` return: with a close code, or None when the client has closed."""
        if not self._over.done():
            self._over.set_result(ending)

    async def _send_events(self) -> None:
        """Send events, and now and then how much speech waits, when that has changed."""
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        while not self.over:  # `wait_for` may swallow a cancellation
            with contextlib.suppress(asyncio.TimeoutError):
                event = await asyncio.wait_for(self._events.get(), BUFFERED_EVERY_S)
                if not await self._send(event):
                    return
            buffered_ms = self._live.buffered_ms
            if buffered_ms != self._buffered_ms and loop.time() - sent_at >= BUFFERED_EVERY_S:
                self._buffered_ms, sent_at = buffered_ms, loop.time()
                if not await self._send(BufferedEvent(ms=buffered_ms)):
                    return

    async def _send(self, event: ServerEvent) -> bool:
        try:
            await self._socket.send_text(as_json(event))
        except (WebSocketDisconnect, RuntimeError):  # closed, before the receiver notices it
            self.finish(None)
            return False
        return True

    def _on_event(self, event: SessionEvent) -> None:
        self.interrupts += event.kind == "interrupted"
        self.put(message_of(event))
