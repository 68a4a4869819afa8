"""Speech in by WebSocket: PCM and control messages one way, events the other.

A client may send faster than real time. Once 60 s wait, the socket is not read until there is room,
so TCP holds the client back; what it wants to say urgently then, it says with
`POST /v1/sessions/{id}/interrupt`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from lipstream.errors import LipstreamError
from lipstream.media.audio import AudioChunk
from lipstream.server.errors import ApiError
from lipstream.server.security.access import bearer_protocol

if TYPE_CHECKING:
    from lipstream.live.session import SessionEvent
    from lipstream.server.sessions.manager import SessionManager
    from lipstream.server.sessions.session import ServerSession

RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)  # Hz
USUAL_RATE = 24_000
MAX_MESSAGE_BYTES = 64 * 1024  # of one message
TELL_S = 0.25  # least time between two `buffered` events
MAX_EVENTS = 64  # that wait for a client who does not read
PATIENCE = 20  # senseless messages before the socket is closed
CLOSE_S = 2.0

GOING_AWAY, POLICY, TOO_BIG = 1001, 1008, 1009  # RFC 6455, section 7.4.1


def audio_routes(manager: SessionManager) -> APIRouter:
    """WS /v1/sessions/{id}/audio"""
    router = APIRouter()

    @router.websocket("/v1/sessions/{session_id}/audio")
    async def audio(socket: WebSocket, session_id: str) -> None:
        try:
            seat = manager.find(session_id)
            rate = _rate(socket.query_params.get("sample_rate"))
        except ApiError as refusal:
            await socket.send_denial_response(refusal.response())
            return
        await socket.accept(subprotocol=bearer_protocol(socket.scope.get("subprotocols", ())))
        await AudioSocket(socket, seat, rate).run()

    return router


def _rate(text: str | None) -> int:
    if text is None:
        return USUAL_RATE
    if text not in map(str, RATES):
        known = ", ".join(map(str, RATES))
        raise ApiError(422, f"sample_rate: {text[:20]!r} is not possible; use {known}.")
    return int(text)


class AudioSocket:
    """One WebSocket that feeds a session. The newest one of a session replaces the one before."""

    def __init__(self, socket: WebSocket, seat: ServerSession, rate: int) -> None:
        self._socket, self._seat, self._rate = socket, seat, rate
        self._session = seat.session
        self._odd = b""  # half a sample that waits for its other half
        self._open = False  # something was said since the last end
        self._mistakes = 0
        self._told = 0  # the last `buffered` event
        self._interrupts = 0  # that the session told of
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_EVENTS)
        self._over: asyncio.Future[tuple[int, str] | None] = asyncio.Future()

    async def run(self) -> None:
        """Until either side ends it. What was said is always spoken to its end."""
        if self._seat.hang_up is not None:
            self._seat.hang_up()
        hang_up = self._seat.hang_up = self._hang_up
        forget = self._session.add_listener(self._heard)
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._tell())]
        try:
            waited: list[asyncio.Future[Any]] = [*tasks, self._over]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._end(None)
            forget()
            if self._seat.hang_up == hang_up:
                self._seat.hang_up = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._open and not self._session.closed:
                self._session.end()
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error  # a fault of ours
        if self._over.done() and (ending := self._over.result()) is not None:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError, asyncio.TimeoutError):
                await asyncio.wait_for(self._socket.close(*ending), CLOSE_S)

    async def _listen(self) -> None:
        while not self._over.done():
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                self._end(None)
            elif (data := message.get("bytes")) is not None:
                await self._take(data)
            else:
                self._obey(message.get("text") or "")

    async def _take(self, data: bytes) -> None:
        """PCM, s16le mono."""
        if len(data) > MAX_MESSAGE_BYTES:
            self._end((TOO_BIG, f"send at most {MAX_MESSAGE_BYTES} bytes in a message"))
            return
        data = self._odd + data
        whole = len(data) // 2
        self._odd = data[2 * whole :]
        if not whole:
            return
        self._seat.touch()
        await self._session.room(-(-whole * 1000 // self._rate))
        if self._session.closed or self._over.done():
            return
        samples = np.frombuffer(data, "<i2", whole).astype(np.int16)
        try:
            self._session.push(AudioChunk(samples, self._rate))
        except LipstreamError as error:
            self._complain("bad_audio", str(error))
        else:
            self._open = True

    def _obey(self, text: str) -> None:
        """A control message."""
        if len(text) > MAX_MESSAGE_BYTES:
            self._end((TOO_BIG, f"send at most {MAX_MESSAGE_BYTES} bytes in a message"))
            return
        try:
            order = json.loads(text)
        except (ValueError, RecursionError):
            self._complain("bad_message", 'a text message must be JSON, such as {"type":"end"}.')
            return
        kind = order.get("type") if isinstance(order, dict) else None
        if kind == "end":
            self._odd, self._open = b"", False
            self._seat.touch()
            self._session.end()
        elif kind == "interrupt":
            self._odd, self._open = b"", False
            told = self._interrupts
            played = self._seat.interrupt()
            if told == self._interrupts:  # there was nothing to interrupt
                self._put({"type": "interrupted", "played_ms": played})
        else:
            self._complain("bad_message", '`type` must be "end" or "interrupt".')

    async def _tell(self) -> None:
        """Send events, and every now and then how much waits, when that has changed."""
        loop = asyncio.get_running_loop()
        told_at = loop.time()
        while not self._over.done():  # `wait_for` may swallow a cancellation
            with contextlib.suppress(asyncio.TimeoutError):
                event = await asyncio.wait_for(self._events.get(), TELL_S)
                if not await self._send(event):
                    return
            buffered = self._session.buffered_ms
            if buffered != self._told and loop.time() - told_at >= TELL_S:
                self._told, told_at = buffered, loop.time()
                if not await self._send({"type": "buffered", "ms": buffered}):
                    return

    async def _send(self, event: dict[str, Any]) -> bool:
        try:
            await self._socket.send_text(json.dumps(event))
        except (WebSocketDisconnect, RuntimeError):  # gone, which `_listen` may not know yet
            self._end(None)
            return False
        return True

    def _heard(self, event: SessionEvent) -> None:
        if event.kind == "failed":
            text = "this utterance could not be drawn; the session goes on with the next one."
            told = {"type": "error", "code": "failed", "message": text}
            self._put({**told, "utterance": event.utterance})
        else:
            self._interrupts += event.kind == "interrupted"
            told = {"type": event.kind}
            self._put({**told, "utterance": event.utterance, "played_ms": event.played_ms})

    def _complain(self, code: str, message: str) -> None:
        self._put({"type": "error", "code": code, "message": message})
        self._mistakes += 1
        if self._mistakes > PATIENCE:
            self._end((POLICY, "too many messages that make no sense"))

    def _put(self, event: dict[str, Any]) -> None:
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self._end((POLICY, "events are not read"))

    def _hang_up(self) -> None:
        code = GOING_AWAY if self._session.closed or self._seat.closed else POLICY
        self._end((code, "the session has ended" if code == GOING_AWAY else "replaced"))

    def _end(self, ending: tuple[int, str] | None) -> None:
        """Let `run` finish: with a close code, or None when the client is gone."""
        if not self._over.done():
            self._over.set_result(ending)
