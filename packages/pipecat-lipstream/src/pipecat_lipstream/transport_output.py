"""The bot's voice on its way to a session's avatar, and what becomes of it."""

from __future__ import annotations

import asyncio
import heapq
import json
import time
from typing import Any

import aiohttp
import numpy as np
from loguru import logger
from pipecat.audio.utils import create_stream_resampler
from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputTransportReadyFrame,
    StartFrame,
    SystemFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.transports.base_transport import TransportParams

from pipecat_lipstream.client import GOING_AWAY, LipstreamClient, LipstreamServerError
from pipecat_lipstream.held_frames import HeldFrames, Position
from pipecat_lipstream.sent_speech import SentSpeech

RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)  # Hz; that a server takes
OTHER_RATE = 48_000  # Hz; to which others are resampled
PIECE_BYTES = 32_000  # of one message; a server takes 64 KiB
FOLLOW_S = 0.1  # between two looks at what was heard
STOPPED_S = 3.0  # of silence until the bot has stopped, where no TTSStoppedFrame comes
INTERRUPT_S = 2.0  # for the server to answer an interrupt
PATIENCE_S = 40.0  # beyond the speech that waits, for a viewer who may come back


class LipstreamOutputTransport(FrameProcessor):
    """Sends TTS audio to the server, and pushes what comes behind it once it was heard.

    The server's `started` becomes `BotStartedSpeakingFrame`, and `BotStoppedSpeakingFrame` comes
    with the `TTSStoppedFrame` behind what was heard. TTS audio is pushed downstream when it was
    heard, as other transports do. An interruption silences the avatar before it is passed on; an
    `EndFrame` waits until everything was said.
    """

    def __init__(self, client: LipstreamClient, params: TransportParams, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._client, self._params = client, params
        self._rate = OTHER_RATE
        self._resampler = create_stream_resampler(clear_after_secs=None)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._speech = SentSpeech()
        self._held = HeldFrames()
        self._releasing = asyncio.Lock()
        self._silent = asyncio.Event()  # everything that was sent was heard
        self._silent.set()
        self._timed: list[tuple[int, int, Frame]] = []  # a heap of frames with a time of their own
        self._heard_at = 0.0  # when the last utterance ended, in seconds
        self._speaking = self._spoke = self._measuring = self._ended = False

    def can_generate_metrics(self) -> bool:
        """True: the time from `TTSStartedFrame` to the first sound that the avatar says (TTFB)."""
        return True

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Open the session. Raises LipstreamServerError."""
        await super().setup(setup)
        rate = self._params.audio_out_sample_rate or setup.audio_out_sample_rate
        self._rate = rate if rate in RATES else OTHER_RATE
        await self._client.open()

    async def cleanup(self) -> None:
        """Leave nothing behind."""
        await super().cleanup()
        await self._close()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take speech, hold what comes behind it, and pass the rest on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self.push_frame(frame, direction)
            await self._start()
        elif isinstance(frame, InterruptionFrame):
            silenced = await self._interrupt()
            await self.push_frame(frame, direction)
            await self._release()
            if silenced:
                await self._say_stopped()
        elif isinstance(frame, CancelFrame):
            await self._close()
            await self.push_frame(frame, direction)
        elif isinstance(frame, SystemFrame) or direction == FrameDirection.UPSTREAM:
            await self.push_frame(frame, direction)
        elif isinstance(frame, EndFrame):
            await self._finish()
            await self.push_frame(frame, direction)
        elif isinstance(frame, TTSAudioRawFrame):
            await self._say(frame)
        elif frame.pts and not isinstance(frame, TTSStoppedFrame):
            heapq.heappush(self._timed, (frame.pts, frame.id, frame))
        else:
            await self._hold(frame)

    async def _start(self) -> None:
        """Connect, and tell the pipeline so."""
        try:
            self._socket = await self._client.connect("audio_url", self._rate)
        except LipstreamServerError as error:
            await self.push_error(str(error), error, force_treat_as_permanent=True)
            return
        self._tasks = [
            self.create_task(self._read(self._socket)),
            self.create_task(self._follow()),
        ]
        await self.push_frame(OutputTransportReadyFrame(), FrameDirection.UPSTREAM)

    async def _hold(self, frame: Frame) -> None:
        """Push a frame when the speech before it was heard."""
        position = self._speech.end
        if isinstance(frame, TTSStartedFrame) and self._speech.silent:
            self._measuring = True
            await self.start_ttfb_metrics()
        if isinstance(frame, TTSStartedFrame | TTSStoppedFrame) and self._speech.open is not None:
            position = await self._end_utterance()
        self._held.hold(frame, position)
        await self._release()

    async def _say(self, frame: TTSAudioRawFrame) -> None:
        """Send speech. The server does not read on when a minute waits, and so holds this up."""
        if self._socket is None or self._socket.closed:
            return
        sound = frame.audio
        if frame.num_channels > 1:
            pcm = np.frombuffer(sound, "<i2").reshape(-1, frame.num_channels)
            sound = pcm.mean(axis=1).astype("<i2").tobytes()
        await self._send(
            await self._resampler.resample(sound, frame.sample_rate, self._rate),
            interruptible=frame.interruptible,
        )
        self._held.hold(frame, self._speech.end)

    async def _send(self, sound: bytes, *, interruptible: bool = True) -> None:
        socket = self._socket
        if socket is None or socket.closed:
            return
        for start in range(0, len(sound), PIECE_BYTES):
            piece = sound[start : start + PIECE_BYTES]
            self._silent.clear()
            self._speech.add(500 * len(piece) / self._rate, interruptible=interruptible)
            await self._write(socket, piece)

    async def _end_utterance(self) -> Position:
        """End the open utterance, with what the resampler still has of it."""
        speech, socket = self._speech, self._socket
        await self._send(await self._resampler.flush())
        position = speech.close()
        if socket is not None:
            await self._write(socket, '{"type": "end"}')
        return position

    async def _write(self, socket: aiohttp.ClientWebSocketResponse, message: bytes | str) -> None:
        try:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_str(message)
        except (aiohttp.ClientError, ConnectionError):
            pass  # it closes, which `_read` tells

    async def _interrupt(self) -> bool:
        """Silence the avatar; False when it is silent, or says what must not be interrupted."""
        speech, socket = self._speech, self._socket
        if speech.silent or not speech.interruptible:
            return False
        self._drop()
        await self._resampler.reset()
        try:
            await asyncio.wait_for(self._client.interrupt(), INTERRUPT_S)
        except (LipstreamServerError, TimeoutError) as error:
            logger.warning(f"{self}: the interrupt was not answered: {error}")
        if socket is not None:  # for speech that the server had not read, and as its end
            await self._write(socket, '{"type": "interrupt"}')
        return True

    def _drop(self) -> None:
        """Forget all speech and what waits behind it."""
        self._speech.drop()
        self._held.interrupt()
        self._timed = [timed for timed in self._timed if not timed[2].interruptible]
        self._measuring = False
        self._silent.set()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Follow the server's events until the session ends."""
        async for message in socket:
            if message.type == aiohttp.WSMsgType.TEXT:
                await self._on_event(json.loads(message.data))
        self._drop()
        await self._release()
        await self._say_stopped()
        if socket.close_code != GOING_AWAY:
            await self.push_error(
                f"the avatar was lost: its socket closed with {socket.close_code}",
                force_treat_as_permanent=True,
            )

    async def _on_event(self, event: dict[str, Any]) -> None:
        kind, id = event["type"], event.get("utterance")
        if kind == "queued":
            self._speech.named(event["utterance"])
        elif kind == "started":
            if self._speech.started(id):
                await self._say_started()
        elif kind in ("ended", "failed"):
            if self._speech.finished(id):
                await self._release()
                self._heard_at = time.monotonic()
                if self._speech.silent:
                    self._silent.set()
        elif kind == "interrupted" and self._speech.finished(id):
            await self._interrupted_elsewhere()
        if kind in ("failed", "error"):
            logger.error(f"{self}: {event.get('message', 'an utterance could not be spoken')}")

    async def _interrupted_elsewhere(self) -> None:
        """The viewer's page, or another program, has silenced the avatar: tell the pipeline."""
        self._drop()
        if self._socket is not None:
            await self._write(self._socket, '{"type": "end"}')
        await self.broadcast_interruption()
        await self._say_stopped()

    async def _say_started(self) -> None:
        if self._measuring:
            self._measuring = False
            await self.stop_ttfb_metrics()
        self._spoke = True
        if not self._speaking:
            self._speaking = True
            await self.broadcast_frame(BotStartedSpeakingFrame)

    async def _say_stopped(self) -> None:
        if self._speaking:
            self._speaking = False
            await self.broadcast_frame(BotStoppedSpeakingFrame)

    async def _follow(self) -> None:
        """Push frames as their speech is heard, and now and then that the bot is speaking."""
        while True:
            for _ in range(2):
                await asyncio.sleep(FOLLOW_S)
                await self._release()
                if self._speech.pausing:
                    await self._end_utterance()
            if not self._speaking:
                continue
            if self._speech.silent and time.monotonic() - self._heard_at > STOPPED_S:
                await self._say_stopped()
            else:
                await self.broadcast_frame(BotSpeakingFrame)

    async def _release(self) -> None:
        """Push the held frames that are due; by one at a time, as their order counts."""
        async with self._releasing:
            for frame in self._held.due(self._speech.heard()):
                await self.push_frame(frame)
                if isinstance(frame, TTSStoppedFrame):
                    await self._say_stopped()
            now = self.get_clock().get_time()
            while self._timed and (self._ended or self._timed[0][0] <= now):
                await self.push_frame(heapq.heappop(self._timed)[2])

    async def _finish(self) -> None:
        """Wait until everything was said and, shortly, shown; then end the session."""
        if self._speech.open is not None:
            await self._end_utterance()
        patience = self._speech.waiting_ms / 1000 + PATIENCE_S
        try:
            await asyncio.wait_for(self._silent.wait(), patience)
        except TimeoutError:
            logger.warning(f"{self}: speech was not said within {patience:.0f} s")
            self._drop()
        self._ended = True
        await self._release()
        await self._say_stopped()
        if self._spoke and self._socket is not None and not self._socket.closed:
            await asyncio.sleep(self._params.audio_out_end_silence_secs)
        await self._close()

    async def _close(self) -> None:
        """End the session. May be called twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await self.cancel_task(task)
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()
        await self._client.close()
