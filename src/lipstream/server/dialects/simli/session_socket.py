"""The one socket of a session: an offer and its answer, then speech in, and words about it out."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Coroutine
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from lipstream.errors import LipstreamError
from lipstream.live.session.types import SessionEvent
from lipstream.server.dialects.simli.addresses import SILENT, SPEAK
from lipstream.server.dialects.simli.speech_input import SpeechInput
from lipstream.server.dialects.simli.token_request import SessionTerms
from lipstream.server.errors import ApiError, without_folders
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.sessions.session import ServerSession

OFFER_S = 15.0  # in which the offer must come
CHECK_MS = 500  # between two looks at the client's own limits
MAX_WORDS = 64  # that wait for a client that does not read
CLOSE_S = 2.0
NO_OFFER = 'the first message must be an offer as JSON: {"type": "offer", "sdp": "v=0..."}.'
NO_TIME = f"no offer came within {OFFER_S:.0f} s."
UNREAD = "what the server says is not read."
CAMERA, CAMERA_BYTES = b"CAM_", 48  # at most; longer messages are sound
SCENERY = {b"CAM_": "camera", b"BG_": "backgrounds", b"FG_": "foregrounds"}
ENDS = ("ended", "interrupted", "failed")
REASONS = {"idle": "IDLE", "duration": "MAX", "vanished": "VIEWER LOST", "unconnected": "NO VIEWER"}


class SessionSocket:
    """The conversation with one client, which ends the session with it."""

    def __init__(
        self,
        socket: WebSocket,
        manager: SessionManager,
        session: ServerSession,
        terms: SessionTerms,
    ) -> None:
        self._socket, self._manager, self._session = socket, manager, session
        self._terms = terms
        self._speech = SpeechInput(session)
        self._words: asyncio.Queue[str] = asyncio.Queue(MAX_WORDS)
        self._acknowledged = True  # that sound was taken
        self._speaking = False  # as was said last
        self._over: asyncio.Future[tuple[str, ...]] = asyncio.Future()  # the last words
        self._reason = "left"  # for the log

    async def run(self) -> None:
        """Take the offer and speech until either side ends it; then the session ends too."""
        remove_listener = self._session.live.add_listener(self._on_event)
        work = (self._receive(), self._send_words(), self._speech.run(), self._watch())
        try:
            await self._work_until_over(work)
            await self._close_socket(self._over.result())
        finally:
            remove_listener()
            self._session.disconnect_socket = None
            await self._manager.close(self._session, self._reason)

    def leave(self) -> None:
        """The session ends."""
        overdue = self._session.overdue
        default = "SERVER STOPS" if self._manager.draining else "SESSION ENDED"
        self._finish(f"CLOSING REASON: {REASONS.get(overdue, default)}", "STOP")

    async def _work_until_over(self, work: tuple[Coroutine[Any, Any, None], ...]) -> None:
        tasks = [asyncio.create_task(one) for one in work]
        try:
            waited: list[asyncio.Future[Any]] = [*tasks, self._over]
            while not self._over.done():
                done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if any(task.exception() for task in tasks if task in done):
                    break
                waited = [one for one in waited if one not in done]
        finally:
            self._finish()
            self._speech.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error  # a fault of ours

    async def _close_socket(self, words: tuple[str, ...]) -> None:
        """Say the last words, if the client is still there to read them."""
        if not words:
            return
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, asyncio.TimeoutError):
            await asyncio.wait_for(self._say_and_close(words), CLOSE_S)

    async def _say_and_close(self, words: tuple[str, ...]) -> None:
        for word in words:
            await self._socket.send_text(word)
        await self._socket.close()

    async def _receive(self) -> None:
        try:
            first = await asyncio.wait_for(self._socket.receive(), OFFER_S)
        except asyncio.TimeoutError:
            self._fail(NO_TIME)
            return
        if first["type"] == "websocket.disconnect":
            self._finish()
        elif await self._answer(first.get("text") or ""):
            while not self._over.done():
                await self._take(await self._socket.receive())

    async def _answer(self, text: str) -> bool:
        """Connect the viewer; False when that cannot be."""
        offer = _offer_in(text)
        if offer is None:
            self._fail(NO_OFFER)
            return False
        try:
            answer = await self._manager.viewers.connect(self._session, offer)
        except (ApiError, LipstreamError) as error:
            self._fail(str(getattr(error, "detail", error)))
            return False
        # Older clients look for `sdp` before the first blank.
        self._say(json.dumps({"type": "answer", "sdp": answer}, separators=(",", ":")))
        self._say("START")
        return True

    async def _take(self, message: Any) -> None:
        """A message after the offer. Unknown texts are of newer clients, and mean nothing here."""
        text, data = message.get("text"), message.get("bytes")
        if message["type"] == "websocket.disconnect":
            self._finish()
            return
        given: bytes = data if data is not None else (text or "").encode()
        scenery = next((name for start, name in SCENERY.items() if given.startswith(start)), None)
        if given == b"SKIP":
            self._speech.skip()
        elif given == b"DONE":
            self._reason = "closed"
            self._finish("STOP")
        elif scenery is not None and len(given) <= CAMERA_BYTES:
            self._say(f"Selected model does not support {scenery}")
        elif data is not None:
            await self._speech.put(data)
            self._acknowledge()
        elif given.startswith(b"ping"):
            self._say("pong" + given[4:40].decode(errors="replace"))

    async def _send_words(self) -> None:
        while True:
            word = await self._words.get()
            if word == "ACK":
                self._acknowledged = True
            try:
                await self._socket.send_text(word)
            except (WebSocketDisconnect, RuntimeError):  # closed, before the receiver notices it
                self._finish()
                return

    async def _watch(self) -> None:
        """End the session when it is as old, or as long silent, as its client allows."""
        clock, terms = self._manager.clock, self._terms
        began = busy = clock.now_ms()
        while True:
            now = clock.now_ms()
            busy = now if self._session.busy else busy
            if terms.max_session_s is not None and now - began >= 1000 * terms.max_session_s:
                self._end("duration")
            elif terms.max_idle_s is not None and now - busy >= 1000 * terms.max_idle_s:
                self._end("idle")
            await clock.sleep_until(now + CHECK_MS)

    def _end(self, reason: str) -> None:
        self._reason = reason
        self._finish(f"CLOSING REASON: {REASONS[reason]}", "STOP")

    def _on_event(self, event: SessionEvent) -> None:
        if event.kind in ("started", *ENDS) and (event.kind == "started") != self._speaking:
            self._speaking = not self._speaking
            self._say(SPEAK if self._speaking else SILENT)

    def _acknowledge(self) -> None:
        """Say that sound was taken: once for all of which it was not said yet."""
        if self._acknowledged:
            self._acknowledged = False
            self._say("ACK")

    def _say(self, word: str) -> None:
        try:
            self._words.put_nowait(word)
        except asyncio.QueueFull:
            self._fail(UNREAD)

    def _fail(self, sentence: str) -> None:
        """End with an error: older clients take only STOP for an end."""
        self._finish(f"ERROR: {without_folders(sentence)}", "STOP")

    def _finish(self, *words: str) -> None:
        """Let `run` return after these last words; without any the client is gone."""
        if not self._over.done():
            self._over.set_result(words)


def _offer_in(text: str) -> str | None:
    """The SDP of an offer as JSON."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, dict) or given.get("type") != "offer":
        return None
    sdp = given.get("sdp")
    return sdp if isinstance(sdp, str) else None
