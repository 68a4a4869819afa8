"""Sound without an end, as it comes by the dialect's socket, cut into utterances."""

from __future__ import annotations

import asyncio

import numpy as np

from lipstream.live.session.utterance import Utterance
from lipstream.server.sessions.session import ServerSession
from lipstream.timeline import SAMPLE_RATE

PAUSE_MS = 300  # in which nothing comes: the speech is over
PIECE_BYTES = 8_000  # 250 ms
MAX_PIECES = 1_024  # that wait beside what the session holds: 256 s, or fewer of short ones
IMMEDIATE = b"PLAY_IMMEDIATE"


class SpeechInput:
    """PCM, s16le mono at 16 kHz, on its way into utterances of a session.

    The dialect knows no end of an utterance. So one ends when nothing came for `PAUSE_MS` and
    what was sent is nearly played: a pause between two sentences that were sent ahead of time is
    none. Silence alone opens no utterance, as clients begin with some to wake their service.
    """

    def __init__(self, session: ServerSession) -> None:
        self._session, self._live = session, session.live
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(MAX_PIECES)
        self._odd = b""  # half a sample that waits for its other half
        self._utterance: Utterance | None = None
        self._skips = 0
        self._stopped = False

    async def put(self, data: bytes) -> None:
        """Take the next sound; waits while too much of it waits."""
        if data.startswith(IMMEDIATE):
            self.skip()
            data = data[len(IMMEDIATE) :]
        data = self._odd + data
        whole = len(data) & ~1
        self._odd = data[whole:]
        for start in range(0, whole, PIECE_BYTES):
            await self._pieces.put(data[start : min(start + PIECE_BYTES, whole)])

    def skip(self) -> None:
        """Drop all that was sent, played or not. What comes next is another utterance."""
        self._skips += 1
        while not self._pieces.empty():
            self._pieces.get_nowait()
        self._utterance, self._odd = None, b""
        self._session.interrupt()

    async def run(self) -> None:
        """Push what comes, until `stop` and a cancellation, or the end of the session."""
        while not (self._stopped or self._live.closed):
            piece = await self._next()
            if self._stopped:
                return
            if piece is None:
                self._end()
            else:
                await self._push(piece)

    def stop(self) -> None:
        """Push no more: `wait_for` may swallow the cancellation of `run`."""
        self._stopped = True

    async def _next(self) -> bytes | None:
        """The next piece; None when the speech is over."""
        if self._utterance is None:
            return await self._pieces.get()
        # Its end must be known before its last look-ahead is due.
        left_ms = self._live.buffered_ms - self._live.look_ahead_ms - PAUSE_MS
        try:
            return await asyncio.wait_for(self._pieces.get(), max(PAUSE_MS, left_ms) / 1000)
        except asyncio.TimeoutError:
            return None

    async def _push(self, piece: bytes) -> None:
        skips = self._skips
        if self._utterance is None:
            if not any(piece):
                return
            await self._live.room_to_open()
            if skips != self._skips or self._live.closed:
                return
            self._utterance = self._live.open_utterance(SAMPLE_RATE)
        self._session.touch()
        utterance = self._utterance
        await utterance.room(-(-len(piece) * 500 // SAMPLE_RATE))
        if not utterance.finished:  # by a skip, or by somebody else
            utterance.push(np.frombuffer(piece, "<i2").astype(np.int16))

    def _end(self) -> None:
        if self._utterance is not None:
            self._utterance.end()
        self._utterance = None
