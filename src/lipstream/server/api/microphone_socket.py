"""WebSocket out: the voice of a session's viewer, for the program that answers.

`WS /v1/sessions/{id}/microphone` sends the format first, then PCM whenever the viewer's microphone
is on, and the state of the viewer when it changes.
"""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import APIRouter, WebSocket

from lipstream.server.api.socket_messages import FormatEvent, ViewerEvent, as_json
from lipstream.server.api.socket_sender import POLICY, SocketSender, sample_rate, serve_socket
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.sessions.session import ServerSession

RATES = (8_000, 16_000, 24_000, 48_000)  # Hz
DEFAULT_RATE = 16_000  # Hz: what recognizers of speech take


def microphone_routes(manager: SessionManager) -> APIRouter:
    """WS /v1/sessions/{id}/microphone"""
    router = APIRouter()

    @router.websocket("/v1/sessions/{session_id}/microphone")
    async def microphone(socket: WebSocket, session_id: str) -> None:
        def open_sender(stack: contextlib.ExitStack) -> VoiceSender:
            session = manager.find_free(session_id)
            rate = sample_rate(socket, RATES, DEFAULT_RATE)
            return VoiceSender(socket, session, rate, stack)

        await serve_socket(socket, open_sender)

    return router


class VoiceSender(SocketSender):
    """The voice of a viewer on its way to one WebSocket; one that does not read is closed."""

    def __init__(
        self, socket: WebSocket, session: ServerSession, rate: int, reading: contextlib.ExitStack
    ) -> None:
        """Reads until `reading` is closed. ApiError 429 when as many read as may."""
        super().__init__(socket)
        self._news = asyncio.Event()
        voice = session.voice.reading(rate, self._on_news, self.leave)
        self._reader = reading.enter_context(voice)
        self._greeting = (FormatEvent(sample_rate=rate), ViewerEvent(state=session.state))

    def _on_news(self) -> None:
        if self._reader.overflown:
            self.finish((POLICY, "sound is not read"))
        self._news.set()

    async def _send_all(self) -> None:
        for greeting in self._greeting:
            if not await self._send(as_json(greeting)):
                return
        while await self._news.wait():
            self._news.clear()
            while (news := self._reader.take()) is not None:
                message = news if isinstance(news, bytes) else as_json(ViewerEvent(state=news))
                if not await self._send(message):
                    return
