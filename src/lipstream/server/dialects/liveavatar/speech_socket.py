"""The socket of a session: speech in, as JSON, and words about it out."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import secrets
from typing import Any

import numpy as np
from fastapi import WebSocket
from numpy.typing import NDArray

from lipstream.live.session.types import SessionEvent
from lipstream.live.session.utterance import Utterance
from lipstream.server.api.socket_sender import POLICY, SocketSender
from lipstream.server.sessions.session import ServerSession

RATE = 24_000  # Hz; PCM, s16le mono
MAX_PIECES = 600  # that wait beside what the session holds: five minutes
MAX_WORDS = 256  # that wait for a client that does not read
TAIL_S = 0.1  # in which the last sound leaves for the room
PIECE = 12_000  # samples that are pushed at once, at most: 500 ms
NO_MESSAGE = 'a message must be JSON with a type, such as {"type": "agent.speak", "audio": "..."}.'
NO_SOUND = "audio must be base64 of 16-bit samples."
TOO_MUCH = "more speech waits than may; the rest of this is dropped."


class SpeechSocket(SocketSender):
    """Speaks in a session as the client of the dialect says, and tells it what becomes of it."""

    def __init__(self, socket: WebSocket, session: ServerSession) -> None:
        super().__init__(socket)
        self._session = session
        self._words: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_WORDS)
        # None ends an utterance; `_put` bounds it.
        self._pieces: asyncio.Queue[NDArray[np.int16] | None] = asyncio.Queue()
        self._ended = True  # the last piece that was put ends an utterance
        self._utterance: Utterance | None = None
        self._odd = b""  # half a sample that waits for its other half
        self._interrupts = 0
        self._talking = False  # as was said last
        self._ending: asyncio.TimerHandle | None = None  # says that speech was heard

    async def talk(self) -> None:
        """Take speech until either side closes the socket; what the session has by then is spoken
        to its end."""
        remove_listener = self._session.live.add_listener(self._on_event)
        pushing = asyncio.create_task(self._push_all())
        self._say("session.state_updated", state="connected")
        try:
            await self.run(self._receive())
        finally:
            remove_listener()
            if self._ending is not None:
                self._ending.cancel()
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            if self._utterance is not None:
                self._utterance.end()

    async def _receive(self) -> None:
        while (message := await self._socket.receive())["type"] != "websocket.disconnect":
            try:
                given = json.loads(message.get("text") or "")
                kind = given["type"]
            except (ValueError, KeyError, TypeError, RecursionError):
                self._say("error", error=NO_MESSAGE)
                continue
            self._session.touch()
            if kind == "agent.speak":
                self._take(given.get("audio"))
            elif kind == "agent.speak_end":
                self._odd = b""
                self._put(None)
                self._say("agent.audio_buffer_committed")
            elif kind == "agent.interrupt":
                self._interrupt()
            # Others keep the socket alive, or tell of a listener's pose, which is the idle one.
        self.finish(None)

    def _take(self, audio: object) -> None:
        try:
            data = self._odd + base64.b64decode(audio if isinstance(audio, str) else "", None, True)
        except (binascii.Error, ValueError):
            self._say("error", error=NO_SOUND)
            return
        whole = len(data) & ~1
        self._odd = data[whole:]
        samples = np.frombuffer(data, "<i2", whole // 2).astype(np.int16)
        for start in range(0, len(samples), PIECE):
            if self._pieces.qsize() >= MAX_PIECES:
                # Said once for all of it: nobody reads a hundred words at once.
                self._say("error", error=TOO_MUCH)
                break
            self._put(samples[start : start + PIECE])
        self._say("agent.audio_buffer_appended")

    def _put(self, piece: NDArray[np.int16] | None) -> None:
        """Put a piece, or the end of the pieces before, which is never lost: the session would wait
        for the rest of an utterance that has none."""
        if piece is None and self._ended:
            return
        self._ended = piece is None
        self._pieces.put_nowait(piece)

    def _interrupt(self) -> None:
        while not self._pieces.empty():
            self._pieces.get_nowait()
        self._utterance, self._odd, self._ended = None, b"", True
        self._interrupts += 1
        self._session.interrupt()
        self._say("agent.audio_buffer_cleared")

    async def _push_all(self) -> None:
        """Push what waits, as there is room."""
        live = self._session.live
        while not (self.over or live.closed):
            piece = await self._pieces.get()
            if piece is None:
                if self._utterance is not None:
                    self._utterance.end()
                self._utterance = None
                continue
            if self._utterance is None:
                interrupts = self._interrupts
                await live.room_to_open()
                if live.closed:
                    return
                if interrupts != self._interrupts:
                    continue
                self._utterance = live.open_utterance(RATE)
            utterance = self._utterance
            await utterance.room(1000 * len(piece) // RATE)
            utterance.push(piece)  # nothing, after an interrupt

    async def _send_all(self) -> None:
        while await self._send(json.dumps(await self._words.get())):
            pass

    def _on_event(self, event: SessionEvent) -> None:
        if event.kind == "started":
            self._heard()  # what was before it
            self._talking = True
            self._say("agent.speak_started")
            self._say("agent.state_updated", previous_state="listening", new_state="talking")
        elif event.kind == "interrupted" and self._ending is not None:
            self._heard()  # what waits behind it was interrupted
        elif event.kind == "interrupted" and self._talking:
            self._say("agent.speak_interrupted")
            self._listen()
        elif event.kind in ("ended", "failed"):
            self._ending = asyncio.get_running_loop().call_later(TAIL_S, self._heard)

    def _heard(self) -> None:
        """Tell that what was spoken has been heard, once."""
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
            self._say("agent.speak_ended")
            self._listen()

    def _listen(self) -> None:
        self._talking = False
        self._say("agent.state_updated", previous_state="talking", new_state="listening")

    def _say(self, kind: str, **fields: str) -> None:
        try:
            self._words.put_nowait({"type": kind, "event_id": secrets.token_hex(8), **fields})
        except asyncio.QueueFull:
            self.finish((POLICY, "what the server says is not read"))
