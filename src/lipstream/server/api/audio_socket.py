"""Speech in by WebSocket: PCM and control messages one way, events the other.

A client may send faster than real time. Once 60 s wait, the socket is not read until there is room,
so TCP holds the client back; an interrupt that cannot wait behind the speech comes by
`POST /v1/sessions/{id}/interrupt`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import numpy as np
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from lipstream.errors import LipstreamError
from lipstream.live.session.types import SessionEvent
from lipstream.live.session.utterance import Utterance
from lipstream.media.captions import Caption
from lipstream.server.errors import ApiError, without_folders
from lipstream.server.schemas import CaptionMessage, SayRequest
from lipstream.server.security.access import bearer_protocol
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.sessions.session import ServerSession
from lipstream.speech.synthesis.base import Synthesizer

RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)  # Hz
DEFAULT_RATE = "24000"
MAX_MESSAGE_BYTES = 64 * 1024
BUFFERED_EVERY_S = 0.25  # least time between two `buffered` events
MAX_EVENTS = 64  # that wait for a client that does not read
MAX_MISTAKES = 20  # unusable messages before the socket is closed
CLOSE_S = 2.0
RENDER_FAILED = "some pictures of this utterance could not be drawn; its sound goes on."

GOING_AWAY, POLICY, TOO_BIG = 1001, 1008, 1009  # RFC 6455, section 7.4.1


def audio_routes(manager: SessionManager, synthesizer: Synthesizer | None) -> APIRouter:
    """WS /v1/sessions/{id}/audio"""
    router = APIRouter()

    @router.websocket("/v1/sessions/{session_id}/audio")
    async def audio(socket: WebSocket, session_id: str) -> None:
        try:
            session = manager.find(session_id)
            rate = _rate(socket.query_params.get("sample_rate", DEFAULT_RATE))
        except ApiError as refusal:
            await socket.send_denial_response(refusal.response())
            return
        await socket.accept(subprotocol=bearer_protocol(socket.scope.get("subprotocols", ())))
        await AudioSocket(socket, session, rate, synthesizer).run()

    return router


def _rate(text: str) -> int:
    known = [str(rate) for rate in RATES]
    if text not in known:
        raise ApiError(422, f"sample_rate: {text[:20]!r} is not supported; use {', '.join(known)}.")
    return int(text)


class AudioSocket:
    """One WebSocket that speaks in a session; a newer one of the same session replaces it.

    The first binary message, or a caption, opens an utterance, `end` ends it. When another client
    interrupts it, what still comes of it is dropped up to its `end`. A socket that closes or is
    replaced in the middle of its utterance ends it: what was sent is spoken.
    """

    def __init__(
        self,
        socket: WebSocket,
        session: ServerSession,
        rate: int,
        synthesizer: Synthesizer | None = None,
    ) -> None:
        self._socket, self._session, self._rate = socket, session, rate
        self._live, self._synthesizer = session.live, synthesizer
        self._odd = b""  # half a sample that waits for its other half
        self._utterance: Utterance | None = None  # until its `end`, also when it was interrupted
        self._mistakes = 0
        self._buffered_ms = 0  # as sent last
        self._interrupts = 0  # `interrupted` events so far
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_EVENTS)
        self._over: asyncio.Future[tuple[int, str] | None] = asyncio.Future()

    async def run(self) -> None:
        """Take speech and send events until either side closes the socket."""
        if self._session.disconnect_socket is not None:
            self._session.disconnect_socket()
        disconnect = self._session.disconnect_socket = self._disconnect
        remove_listener = self._live.add_listener(self._on_event)
        tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._send_events())]
        try:
            waited: list[asyncio.Future[Any]] = [*tasks, self._over]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._end_utterance()
            self._finish(None)
            remove_listener()
            if self._session.disconnect_socket == disconnect:
                self._session.disconnect_socket = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error  # a fault of ours
        if (ending := self._over.result()) is not None:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError, asyncio.TimeoutError):
                await asyncio.wait_for(self._socket.close(*ending), CLOSE_S)

    async def _receive(self) -> None:
        while not self._over.done():
            message = await self._socket.receive()
            data, text = message.get("bytes"), message.get("text")
            if message["type"] == "websocket.disconnect":
                self._finish(None)
            elif len(data or text or "") > MAX_MESSAGE_BYTES:
                self._finish((TOO_BIG, f"send at most {MAX_MESSAGE_BYTES} bytes in a message"))
            elif data is not None:
                await self._push(data)
            else:
                await self._handle_control(text or "")

    async def _push(self, data: bytes) -> None:
        """Push PCM, s16le mono, when there is room."""
        data = self._odd + data
        whole = len(data) // 2
        self._odd = data[2 * whole :]
        if not whole:
            return
        utterance = await self._open_utterance()
        if utterance is None:
            return
        await utterance.room(-(-whole * 1000 // self._rate))
        if not self._over.done() and self._utterance is not None:
            try:
                self._utterance.push(np.frombuffer(data, "<i2", whole).astype(np.int16))
            except LipstreamError as error:
                self._reject("bad_audio", str(error))

    async def _open_utterance(self) -> Utterance | None:
        """The utterance of this socket, opened where there is none; None at the end."""
        self._session.touch()
        if self._utterance is None:
            await self._live.room_to_open()
            if self._over.done() or self._live.closed:
                return None
            self._utterance = self._live.open_utterance(self._rate)
            self._put({"type": "queued", "utterance": self._utterance.id})
        return self._utterance

    async def _handle_control(self, text: str) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            self._reject("bad_message", 'a text message must be JSON, such as {"type":"end"}.')
            return
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "end":
            self._session.touch()
            self._end_utterance()
        elif kind == "interrupt":
            before = self._interrupts
            played_ms = self._session.interrupt()
            self._end_utterance()
            if self._interrupts == before:  # there was nothing to interrupt
                self._put({"type": "interrupted", "played_ms": played_ms})
        elif kind in ("say", "caption"):
            del message["type"]
            try:
                if kind == "say":
                    self._say(SayRequest.model_validate(message))
                else:
                    await self._caption(CaptionMessage.model_validate(message))
            except ValidationError as error:
                self._reject("bad_message", _sentence(error))
        else:
            self._reject("bad_message", '`type` must be "end", "interrupt", "say" or "caption".')

    def _say(self, request: SayRequest) -> None:
        try:
            utterance = self._session.say(request.text, self._synthesizer, request.voice)
        except ApiError as refusal:
            if refusal.status_code == 422:
                self._reject(refusal.code, str(refusal.detail))
            else:
                self._put({"type": "error", "code": refusal.code, "message": str(refusal.detail)})
            return
        self._put({"type": "queued", "utterance": utterance.id})

    async def _caption(self, message: CaptionMessage) -> None:
        """Caption the sound that this socket sends."""
        utterance = await self._open_utterance()
        if utterance is None:
            return
        start, end = (
            None if ms is None else ms * self._rate // 1000
            for ms in (message.at_ms, message.until_ms)
        )
        try:
            utterance.caption(Caption(message.text, start or 0, end, message.opens_line))
        except LipstreamError as error:
            self._reject("bad_caption", str(error))

    def _end_utterance(self) -> None:
        """End the utterance of this socket, if one is open: the next sound opens another."""
        if self._utterance is not None:
            self._utterance.end()
        self._utterance, self._odd = None, b""

    async def _send_events(self) -> None:
        """Send events, and now and then how much speech waits, when that has changed."""
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        while not self._over.done():  # `wait_for` may swallow a cancellation
            with contextlib.suppress(asyncio.TimeoutError):
                event = await asyncio.wait_for(self._events.get(), BUFFERED_EVERY_S)
                if not await self._send(event):
                    return
            buffered_ms = self._live.buffered_ms
            if buffered_ms != self._buffered_ms and loop.time() - sent_at >= BUFFERED_EVERY_S:
                self._buffered_ms, sent_at = buffered_ms, loop.time()
                if not await self._send({"type": "buffered", "ms": buffered_ms}):
                    return

    async def _send(self, event: dict[str, Any]) -> bool:
        try:
            await self._socket.send_text(json.dumps(event))
        except (WebSocketDisconnect, RuntimeError):  # closed, before `_receive` notices it
            self._finish(None)
            return False
        return True

    def _on_event(self, event: SessionEvent) -> None:
        message: dict[str, Any] = {"type": event.kind}
        if event.kind == "render_failed":
            message = {"type": "error", "code": event.kind, "message": RENDER_FAILED}
        elif event.caption is not None:
            self._put(_caption_message(event.utterance, event.caption, event.sample_rate))
            return
        elif event.error is not None:
            message |= {"code": "synthesis_failed", "message": without_folders(str(event.error))}
        self._interrupts += event.kind == "interrupted"
        self._put(message | {"utterance": event.utterance, "played_ms": event.played_ms})

    def _reject(self, code: str, message: str) -> None:
        self._put({"type": "error", "code": code, "message": message})
        self._mistakes += 1
        if self._mistakes > MAX_MISTAKES:
            self._finish((POLICY, "too many messages that make no sense"))

    def _put(self, event: dict[str, Any]) -> None:
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self._finish((POLICY, "events are not read"))

    def _disconnect(self) -> None:
        """Let go of the session at once: it ends, or a newer socket takes over."""
        self._end_utterance()
        code = GOING_AWAY if self._live.closed or self._session.closed else POLICY
        self._finish((code, "the session has ended" if code == GOING_AWAY else "replaced"))

    def _finish(self, ending: tuple[int, str] | None) -> None:
        """Let `run` return: with a close code, or None when the client has closed."""
        if not self._over.done():
            self._over.set_result(ending)


def _caption_message(utterance: int, caption: Caption, rate: int) -> dict[str, Any]:
    return {
        "type": "caption",
        "utterance": utterance,
        "text": caption.text,
        "at_ms": caption.start * 1000 // rate,
        "until_ms": None if caption.end is None else caption.end * 1000 // rate,
        "opens_line": caption.opens_line,
    }


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong with a message, without its content."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the message"
    return f"{place}: {first['msg']}."
