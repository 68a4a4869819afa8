"""The bot's voice on its way to a session's avatar, and what becomes of it."""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    AggregatedTextFrame,
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
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.transports.base_transport import TransportParams

from pipecat_lipstream.client import LipstreamClient, LipstreamServerError
from pipecat_lipstream.held_frames import HeldFrames
from pipecat_lipstream.speech_socket import SpeechSocket

FOLLOW_S = 0.1  # between two looks at what was heard
STOPPED_S = 3.0  # of silence until the bot has stopped, where no TTSStoppedFrame comes
PATIENCE_S = 40.0  # beyond the speech that waits, for a viewer who may come back


class LipstreamOutputTransport(FrameProcessor):
    """Sends TTS audio to the server, and pushes what comes behind it once it was heard.

    The server's `started` becomes `BotStartedSpeakingFrame`, and `BotStoppedSpeakingFrame` comes
    before the `TTSStoppedFrame` behind what was heard. TTS audio is pushed downstream when it was
    heard, as other transports do. An interruption silences the avatar before it is passed on; an
    `EndFrame` waits until everything was said.
    """

    def __init__(self, client: LipstreamClient, params: TransportParams, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._client, self._params = client, params
        self._socket: SpeechSocket | None = None  # from setup to the end
        self._tasks: list[asyncio.Task[None]] = []
        self._held = HeldFrames()
        self._timed: list[tuple[int, int, Frame]] = []  # a heap of frames with a time of their own
        self._releasing = asyncio.Lock()
        self._silent = asyncio.Event()  # everything that was sent was heard
        self._silent.set()
        self._heard_at = 0.0  # when the last utterance ended, in seconds
        self._speaking = self._spoke = self._measuring = self._ended = False

    def can_generate_metrics(self) -> bool:
        """True: the time from `TTSStartedFrame` to the first sound that the avatar says (TTFB)."""
        return True

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Open the session. Raises LipstreamServerError."""
        await super().setup(setup)
        rate = self._params.audio_out_sample_rate or setup.audio_out_sample_rate
        self._socket = SpeechSocket(self._client, rate)
        await self._client.open()

    async def cleanup(self) -> None:
        """Leave nothing behind."""
        await super().cleanup()
        await self._close()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take speech, hold what comes behind it, and pass the rest on."""
        await super().process_frame(frame, direction)
        socket = self._socket
        if isinstance(frame, StartFrame):
            await self.push_frame(frame, direction)
            await self._start()
        elif isinstance(frame, CancelFrame):
            await self._close()
            await self.push_frame(frame, direction)
        elif isinstance(frame, InterruptionFrame) and socket is not None:
            await self._interrupt(frame, direction, socket)
        elif isinstance(frame, SystemFrame) or direction == FrameDirection.UPSTREAM:
            await self.push_frame(frame, direction)
        elif isinstance(frame, EndFrame):
            await self._finish()
            await self.push_frame(frame, direction)
        elif socket is None:
            await self.push_frame(frame, direction)
        elif isinstance(frame, TTSAudioRawFrame):
            await self._say(frame, socket)
        else:
            await self._hold(frame, socket)

    async def _start(self) -> None:
        """Connect, and tell the pipeline so."""
        if (socket := self._socket) is None:
            return
        try:
            await socket.connect()
        except LipstreamServerError as error:
            await self.push_error(str(error), error, force_treat_as_permanent=True)
            return
        work = (self._read(socket), self._follow(socket))
        self._tasks = [self.create_task(each) for each in work]
        await self.push_frame(OutputTransportReadyFrame(), FrameDirection.UPSTREAM)

    async def _say(self, frame: TTSAudioRawFrame, socket: SpeechSocket) -> None:
        if socket.usable:
            self._silent.clear()
            await socket.say(frame)
            self._held.hold(frame, socket.speech.end)

    async def _hold(self, frame: Frame, socket: SpeechSocket) -> None:
        """Push a frame when the speech before it was heard, or at its own time."""
        announced = isinstance(frame, AggregatedTextFrame) and frame.will_be_spoken
        if announced and not isinstance(frame, TTSTextFrame):
            socket.caption(frame.text)
        if isinstance(frame, TTSStartedFrame) and socket.speech.silent:
            self._measuring = True
            await self.start_ttfb_metrics()
        position = socket.speech.end
        if isinstance(frame, TTSStartedFrame | TTSStoppedFrame):
            position = await socket.end()
        elif frame.pts:
            heapq.heappush(self._timed, (frame.pts, frame.id, frame))
            return
        self._held.hold(frame, position)
        await self._release(socket)

    async def _interrupt(
        self, frame: InterruptionFrame, direction: FrameDirection, socket: SpeechSocket
    ) -> None:
        """Silence the avatar, unless what it says must not be interrupted."""
        if not socket.speech.interruptible:
            await self.push_frame(frame, direction)
            return
        silent = socket.speech.silent
        await self._drop(socket)
        if not silent:
            await socket.interrupt()
        await self.push_frame(frame, direction)
        await self._release(socket)
        await self._say_stopped()

    async def _drop(self, socket: SpeechSocket) -> None:
        """Forget all speech and what waits behind it."""
        self._held.interrupt()
        self._timed = [timed for timed in self._timed if not timed[2].interruptible]
        heapq.heapify(self._timed)
        self._measuring = False
        await socket.forget()
        self._silent.set()

    async def _read(self, socket: SpeechSocket) -> None:
        """Follow the server's events until the session ends."""
        async for event in socket.events():
            await self._on_event(event, socket)
        await self._drop(socket)
        await self._release(socket)
        await self._say_stopped()
        if socket.fault is not None:
            error = f"the avatar was lost: {socket.fault}"
            await self.push_error(error, force_treat_as_permanent=True)

    async def _on_event(self, event: dict[str, Any], socket: SpeechSocket) -> None:
        kind, id, speech = event["type"], event.get("utterance"), socket.speech
        if kind == "queued":
            speech.named(event["utterance"])
        elif kind == "started" and speech.started(id):
            await self._say_started()
        elif kind in ("ended", "failed") and speech.finished(id):
            await self._release(socket)
            self._heard_at = time.monotonic()
            if speech.silent:
                self._silent.set()
        elif kind == "interrupted" and speech.finished(id):
            # By the viewer's page, or another program: the pipeline does not know it yet.
            await self._drop(socket)
            await socket.end_dropped()
            await self.broadcast_interruption()
            await self._say_stopped()
        if kind in ("failed", "error"):
            logger.error(f"{self}: {event.get('message', 'an utterance could not be spoken')}")

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

    async def _follow(self, socket: SpeechSocket) -> None:
        """Push frames as their speech is heard, and now and then that the bot is speaking."""
        while True:
            for _ in range(2):
                await asyncio.sleep(FOLLOW_S)
                await self._release(socket)
                if socket.speech.pausing:
                    await socket.end()
            if not self._speaking:
                continue
            if socket.speech.silent and time.monotonic() - self._heard_at > STOPPED_S:
                await self._say_stopped()
            else:
                await self.broadcast_frame(BotSpeakingFrame)

    async def _release(self, socket: SpeechSocket) -> None:
        """Push the held frames that are due; one at a time, as their order counts."""
        async with self._releasing:
            for frame in self._held.due(socket.speech.heard()):
                if isinstance(frame, TTSStoppedFrame):
                    await self._say_stopped()  # before it, as Pipecat's own transports do
                await self.push_frame(frame)
            now = self.get_clock().get_time()
            while self._timed and (self._ended or self._timed[0][0] <= now):
                await self.push_frame(heapq.heappop(self._timed)[2])

    async def _finish(self) -> None:
        """Wait until everything was said and, shortly, shown; then end the session."""
        if (socket := self._socket) is None:
            return
        await socket.end()
        patience = socket.speech.waiting_ms / 1000 + PATIENCE_S
        try:
            await asyncio.wait_for(self._silent.wait(), patience)
        except TimeoutError:
            logger.warning(f"{self}: speech was not said within {patience:.0f} s")
            await self._drop(socket)
        self._ended = True
        await self._release(socket)
        await self._say_stopped()
        if self._spoke and socket.usable:
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
