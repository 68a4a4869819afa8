"""The socket by which the bot speaks in a session of a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
from loguru import logger
from pipecat.audio.utils import create_stream_resampler
from pipecat.frames.frames import TTSAudioRawFrame

from pipecat_lipstream.client import GOING_AWAY, LipstreamClient, LipstreamServerError
from pipecat_lipstream.held_frames import Position
from pipecat_lipstream.sent_speech import SentSpeech

RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)  # Hz; that a server takes
OTHER_RATE = 48_000  # Hz; to which others are resampled
PIECE_BYTES = 32_000  # of one message; a server takes 64 KiB
MAX_CAPTION = 1000  # characters that a server takes
INTERRUPT_S = 2.0  # for the server to answer an interrupt


class SpeechSocket:
    """Sends utterances, and keeps what is known of them in `speech`.

    A socket that closes takes nothing any more; `events` ends then.
    """

    def __init__(self, client: LipstreamClient, sample_rate: int) -> None:
        """`sample_rate` in Hz is that of the socket, where a server takes it."""
        self.speech = SentSpeech()
        self._client = client
        self._rate = sample_rate if sample_rate in RATES else OTHER_RATE
        self._resampler = create_stream_resampler(clear_after_secs=None)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._captions: list[str] = []  # of the speech that comes next

    @property
    def usable(self) -> bool:
        """True while the server takes speech."""
        return self._socket is not None and not self._socket.closed

    @property
    def fault(self) -> str | None:
        """A reason why it closed, unless the session has ended."""
        code = None if self._socket is None else self._socket.close_code
        return None if code in (None, GOING_AWAY) else f"its socket closed with {code}"

    async def connect(self) -> None:
        """Open it. Raises LipstreamServerError."""
        self._socket = await self._client.connect("audio_url", self._rate)

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """The server's events, until it closes the socket."""
        if self._socket is not None:
            async for message in self._socket:
                if message.type == aiohttp.WSMsgType.TEXT:
                    yield json.loads(message.data)

    def caption(self, text: str) -> None:
        """Have `text` shown when the speech that comes next is heard."""
        self._captions.append(text)

    async def say(self, frame: TTSAudioRawFrame) -> None:
        """Send speech. The server does not read on when a minute waits, and so holds this up."""
        sound = frame.audio
        if frame.num_channels > 1:
            pcm = np.frombuffer(sound, "<i2").reshape(-1, frame.num_channels)
            sound = pcm.mean(axis=1).astype("<i2").tobytes()
        sound = await self._resampler.resample(sound, frame.sample_rate, self._rate)
        if sound and self._captions:
            await self._send_caption()
        await self._send(sound, interruptible=frame.interruptible)

    async def end(self) -> Position:
        """End the open utterance, with what the resampler still has of it."""
        if self.speech.open is None:
            return self.speech.end
        await self._send(await self._resampler.flush())
        position = self.speech.close()
        await self._write({"type": "end"})
        return position

    async def interrupt(self) -> None:
        """Silence the session at once; what was sent was forgotten."""
        try:
            await asyncio.wait_for(self._client.interrupt(), INTERRUPT_S)
        except (LipstreamServerError, TimeoutError) as error:
            logger.warning(f"the interrupt was not answered: {error}")
        # For speech that the server had not read yet, and as its end.
        await self._write({"type": "interrupt"})

    async def end_dropped(self) -> None:
        """End what somebody else has silenced: the server drops the rest of it up to there."""
        await self._write({"type": "end"})

    async def forget(self) -> None:
        """Forget what was sent and what belongs to it."""
        self.speech.drop()
        self._captions.clear()
        await self._resampler.reset()

    async def close(self) -> None:
        """Close it, before the session."""
        if self._socket is not None:
            await self._socket.close()

    async def _send_caption(self) -> None:
        text = " ".join(self._captions).strip()[:MAX_CAPTION]
        self._captions.clear()
        if text:
            at_ms = 0 if self.speech.open is None else round(self.speech.open.sent_ms)
            await self._write({"type": "caption", "text": text, "at_ms": at_ms})

    async def _send(self, sound: bytes, *, interruptible: bool = True) -> None:
        for start in range(0, len(sound), PIECE_BYTES):
            piece = sound[start : start + PIECE_BYTES]
            self.speech.add(500 * len(piece) / self._rate, interruptible=interruptible)
            await self._write(piece)

    async def _write(self, message: bytes | dict[str, Any]) -> None:
        if self._socket is None:
            return
        try:
            if isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_json(message)
        except (aiohttp.ClientError, ConnectionError):
            pass  # it closes, and its events end
