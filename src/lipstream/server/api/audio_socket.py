"""Speech in by WebSocket: PCM and control messages one way, events the other.

A client may send faster than real time. Once 60 s wait, the socket is not read until there is room,
so TCP holds the client back; an interrupt that cannot wait behind the speech comes by
`POST /v1/sessions/{id}/interrupt`.
"""

from __future__ import annotations

import json

import numpy as np
from fastapi import APIRouter, WebSocket
from pydantic import ValidationError

from lipstream.errors import LipstreamError
from lipstream.live.session.utterance import Utterance
from lipstream.media.captions import Caption
from lipstream.server.api.session_events import EventSender
from lipstream.server.api.socket_messages import (
    CLIENT_MESSAGES,
    CLIENT_MESSAGES_BY_TYPE,
    CaptionMessage,
    ClientMessage,
    EndMessage,
    ErrorEvent,
    InterruptedEvent,
    InterruptMessage,
    QueuedEvent,
    SayMessage,
)
from lipstream.server.api.socket_sender import GOING_AWAY, POLICY, TOO_BIG, sample_rate
from lipstream.server.errors import ApiError
from lipstream.server.security.access import bearer_protocol
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.sessions.session import ServerSession
from lipstream.speech.synthesis.base import Synthesizer

RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)  # Hz
DEFAULT_RATE = 24_000  # Hz
MAX_MESSAGE_BYTES = 64 * 1024
MAX_MISTAKES = 20  # unusable messages before the socket is closed
KINDS = tuple(CLIENT_MESSAGES_BY_TYPE)
TOO_LARGE = f"send at most {MAX_MESSAGE_BYTES} bytes in a message"


def audio_routes(manager: SessionManager, synthesizer: Synthesizer | None) -> APIRouter:
    """WS /v1/sessions/{id}/audio"""
    router = APIRouter()

    @router.websocket("/v1/sessions/{session_id}/audio")
    async def audio(socket: WebSocket, session_id: str) -> None:
        try:
            session = manager.find_free(session_id)
            rate = sample_rate(socket, RATES, DEFAULT_RATE)
        except ApiError as refusal:
            await socket.send_denial_response(refusal.response())
            return
        await socket.accept(subprotocol=bearer_protocol(socket.scope.get("subprotocols", ())))
        await AudioSocket(socket, session, rate, synthesizer).run()

    return router


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
        self._events = EventSender(socket, session.live)

    async def run(self) -> None:
        """Take speech and send events until either side closes the socket."""
        if self._session.disconnect_socket is not None:
            self._session.disconnect_socket()
        self._session.disconnect_socket = self._disconnect
        await self._events.run(self._receive())

    async def _receive(self) -> None:
        try:
            await self._receive_messages()
        finally:  # before the closing handshake, which may take its time
            self._end_utterance()
            if self._session.disconnect_socket == self._disconnect:
                self._session.disconnect_socket = None

    async def _receive_messages(self) -> None:
        while not self._events.over:
            message = await self._socket.receive()
            data, text = message.get("bytes"), message.get("text")
            if message["type"] == "websocket.disconnect":
                self._events.finish(None)
            elif len(data or text or "") > MAX_MESSAGE_BYTES:
                self._events.finish((TOO_BIG, TOO_LARGE))
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
        if not self._events.over and self._utterance is not None:
            try:
                self._utterance.push(np.frombuffer(data, "<i2", whole).astype(np.int16))
            except LipstreamError as error:
                self._reject("bad_audio", str(error))

    async def _open_utterance(self) -> Utterance | None:
        """The utterance of this socket, opened where there is none; None at the end."""
        self._session.touch()
        if self._utterance is None:
            await self._live.room_to_open()
            if self._events.over or self._live.closed:
                return None
            self._utterance = self._live.open_utterance(self._rate)
            self._events.put(QueuedEvent(utterance=self._utterance.id))
        return self._utterance

    async def _handle_control(self, text: str) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            self._reject("bad_message", 'a text message must be JSON, such as {"type":"end"}.')
            return
        if not isinstance(message, dict) or message.get("type") not in KINDS:
            self._reject("bad_message", f"`type` must be {' or '.join(map(json.dumps, KINDS))}.")
            return
        try:
            await self._obey(CLIENT_MESSAGES.validate_python(message))
        except ValidationError as error:
            self._reject("bad_message", _sentence(error))

    async def _obey(self, message: ClientMessage) -> None:
        if isinstance(message, EndMessage):
            self._session.touch()
            self._end_utterance()
        elif isinstance(message, InterruptMessage):
            before = self._events.interrupts
            played_ms = self._session.interrupt()
            self._end_utterance()
            if self._events.interrupts == before:  # there was nothing to interrupt
                self._events.put(InterruptedEvent(played_ms=played_ms))
        elif isinstance(message, SayMessage):
            self._say(message)
        else:
            await self._caption(message)

    def _say(self, request: SayMessage) -> None:
        try:
            utterance = self._session.intake.say(request.text, self._synthesizer, request.voice)
        except ApiError as refusal:
            if refusal.status_code == 422:
                self._reject(refusal.code, str(refusal.detail))
            else:
                self._events.put(ErrorEvent(code=refusal.code, message=str(refusal.detail)))
            return
        self._events.put(QueuedEvent(utterance=utterance.id))

    async def _caption(self, message: CaptionMessage) -> None:
        """Caption the sound that this socket sends."""
        utterance = await self._open_utterance()
        if utterance is None:
            return
        until_ms = message.until_ms
        start = message.at_ms * self._rate // 1000
        end = None if until_ms is None else until_ms * self._rate // 1000
        try:
            utterance.caption(Caption(message.text, start, end, message.opens_line))
        except LipstreamError as error:
            self._reject("bad_caption", str(error))

    def _end_utterance(self) -> None:
        """End the utterance of this socket, if one is open: the next sound opens another."""
        if self._utterance is not None:
            self._utterance.end()
        self._utterance, self._odd = None, b""

    def _reject(self, code: str, message: str) -> None:
        self._events.put(ErrorEvent(code=code, message=message))
        self._mistakes += 1
        if self._mistakes > MAX_MISTAKES:
            self._events.finish((POLICY, "too many messages that make no sense"))

    def _disconnect(self) -> None:
        """Let go of the session at once: it ends, or a newer socket takes over."""
        self._end_utterance()
        code = GOING_AWAY if self._live.closed or self._session.closed else POLICY
        self._events.finish((code, "the session has ended" if code == GOING_AWAY else "replaced"))


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong with a message, without its content."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or "the message"  # [0] is its type
    return f"{place}: {first['msg']}."
