"""The service that draws the bot's face in the bot's own process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    OutputTransportReadyFrame,
    StartFrame,
    SystemFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.ai_service import AIService
from pipecat.services.settings import ServiceSettings

import lipstream
from pipecat_lipstream.engine import FPS, SOUND_RATE, LipstreamAvatar
from pipecat_lipstream.held_frames import HeldFrames
from pipecat_lipstream.pacing import CLOCK_RATE, TIMESTAMP, pace_pictures
from pipecat_lipstream.session_speech import SessionSpeech

TICKS = CLOCK_RATE // FPS  # of the RTP clock in a frame
MARGIN_S = 10.0  # beyond the speech that waits, when the bot ends


@dataclass
class LipstreamVideoSettings(ServiceSettings):
    """Settings of the service; there is nothing that changes while it runs."""


class LipstreamVideoService(AIService):
    """Shows an avatar that says what the bot's TTS says; stands between it and the transport.

    TTS audio goes in; pictures, 25 a second, and the same audio at 48 kHz come out on one clock,
    idle pictures between words. Frames behind speech, such as its text and `TTSStoppedFrame`, are
    pushed when that speech was given out. An interruption silences it with the next picture; an
    `EndFrame` waits until everything was said.
    """

    Settings = LipstreamVideoSettings
    _settings: LipstreamVideoSettings

    def __init__(
        self,
        *,
        avatar: LipstreamAvatar,
        motion: str | None = None,
        settings: LipstreamVideoSettings | None = None,
        **kwargs: Any,
    ) -> None:
        """Initialize the service.

        Args:
            avatar: Of `LipstreamEngine.open_avatar`; several services may show the same one.
            motion: Its idle motion: `still`, `calm`, `lively`, or None for the engine's.
            settings: There is no model; only `extra` may be of use.
            **kwargs: Arguments of AIService, such as `name`.
        """
        ours = LipstreamVideoSettings(model=None)
        if settings is not None:
            ours.apply_update(settings)
        super().__init__(settings=ours, **kwargs)
        self._avatar, self._motion = avatar, motion
        self._session: lipstream.Session | None = None
        self._playing: asyncio.Task[None] | None = None
        self._speech = SessionSpeech()
        self._held = HeldFrames()
        self._releasing = asyncio.Lock()
        self._silent = asyncio.Event()  # nothing waits to be said
        self._silent.set()
        self._interruptions = 0
        self._flowing = False  # the last unit had speech
        self._lead: TTSAudioRawFrame | None = None  # the first sound of a run, until the second
        self._measuring = False  # the time to the first picture that speaks

    def can_generate_metrics(self) -> bool:
        """True: the time from `TTSStartedFrame` to the first picture that speaks (TTFB)."""
        return True

    async def start(self, frame: StartFrame) -> None:
        """Open the live session."""
        await super().start(frame)
        pace_pictures()
        self._session = self._avatar.open_session(self._motion)
        self._session.add_listener(self._on_event)

    async def stop(self, frame: EndFrame) -> None:
        """Say what waits, to its end: EndFrame comes as soon as TTS is done."""
        self._speech.close()
        if self._session is not None and self._playing is not None:
            patience = self._session.buffered_ms / 1000 + MARGIN_S
            try:
                await asyncio.wait_for(self._silent.wait(), patience)
            except TimeoutError:
                logger.warning(f"{self}: speech was not said within {patience:.0f} s")
        await super().stop(frame)
        await self._close()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop at once."""
        await super().cancel(frame)
        await self._close()

    async def cleanup(self) -> None:
        """Leave nothing behind."""
        await super().cleanup()
        await self._close()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take speech, hold what comes behind it, and pass the rest on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            self._interrupt()
            await self.push_frame(frame, direction)
            await self._release()
            return
        if isinstance(frame, OutputTransportReadyFrame):  # nothing may be pushed before
            self._play()
        if isinstance(frame, SystemFrame) or direction == FrameDirection.UPSTREAM:
            await self.push_frame(frame, direction)
        elif isinstance(frame, TTSAudioRawFrame) and self._session is not None:
            await self._say(frame, self._session)
        elif frame.pts and not isinstance(frame, TTSStoppedFrame):
            await self.push_frame(frame, direction)  # the transport's clock has its time
        else:
            await self._hold(frame)

    async def _hold(self, frame: Frame) -> None:
        """Push a frame when the speech before it was given out."""
        position = self._speech.end
        if isinstance(frame, TTSStartedFrame | TTSStoppedFrame):
            position = self._speech.close()
        if isinstance(frame, TTSStartedFrame) and self._speech.silent:
            self._measuring = True
            await self.start_ttfb_metrics()
        self._held.hold(frame, position)
        await self._release()

    async def _say(self, frame: TTSAudioRawFrame, session: lipstream.Session) -> None:
        """Push speech into its utterance, when there is room."""
        spoken = self._speech.open
        if spoken is None or spoken.utterance.sample_rate != frame.sample_rate:
            self._speech.close()
            await session.room_to_open()
            if session.closed:
                return
            self._silent.clear()
            utterance = session.open_utterance(frame.sample_rate)
            spoken = self._speech.begin(utterance, frame.context_id)
        spoken.pushed_at = time.monotonic()
        spoken.interruptible = spoken.interruptible and frame.interruptible
        count = len(frame.audio) // (2 * frame.num_channels)
        pcm = np.frombuffer(frame.audio, "<i2", count * frame.num_channels)
        sound = pcm.astype(np.int16).reshape(count, frame.num_channels)
        for start in range(0, count, frame.sample_rate):  # some services send a whole sentence
            piece = sound[start : start + frame.sample_rate]
            await spoken.utterance.room(1000)
            if spoken.utterance.finished:
                return
            spoken.utterance.push(piece)
            spoken.samples += len(piece)
            spoken.pushed_at = time.monotonic()

    def _interrupt(self) -> None:
        """Cancel all speech but what must not be interrupted, and what waits behind it."""
        self._interruptions += 1
        self._held.interrupt(self._speech.interrupt())
        self._measuring = False
        if self._lead is not None and self._lead.interruptible:
            self._lead, self._flowing = None, False
        if self._speech.silent:
            self._silent.set()

    def _play(self) -> None:
        """Give out pictures from now on."""
        if self._playing is None and self._session is not None:
            self._playing = self.create_task(self._give(self._session))

    async def _give(self, session: lipstream.Session) -> None:
        """Push each unit when it is due, and what was waiting for it."""
        async with contextlib.aclosing(session.units()) as units:
            async for unit in units:
                await self._push_unit(unit)
                if self._lead is None:
                    self._speech.close_pausing(time.monotonic(), session.look_ahead_ms)
                    self._speech.follow()
                    await self._release()
        if self._session is session:
            await self.push_error("the live session has ended", force_treat_as_permanent=True)

    async def _push_unit(self, unit: lipstream.Unit) -> None:
        """Push a picture and its sound, of which the first of a run waits for the second.

        So 40 ms are always on their way and a late unit leaves no hole; transports show pictures
        about as much later.
        """
        spoken, interruptions = self._speech.first, self._interruptions
        size = (self._avatar.width, self._avatar.height)
        picture = OutputImageRawFrame(unit.frame.tobytes(), size, "RGB")
        picture.metadata[TIMESTAMP] = unit.index * TICKS
        await self.push_frame(picture)
        sound: TTSAudioRawFrame | None = None
        dropped = interruptions != self._interruptions  # meanwhile
        if unit.speaking and spoken is not None and not (dropped and spoken.interruptible):
            sound = TTSAudioRawFrame(unit.samples.tobytes(), SOUND_RATE, 1, spoken.context_id)
            sound.interruptible = spoken.interruptible
            if self._measuring:
                self._measuring = False
                await self.stop_ttfb_metrics()
        begins = sound is not None and not self._flowing
        lead, self._lead = self._lead, sound if begins else None
        self._flowing = sound is not None
        for ready in (lead, None if begins else sound):
            if ready is not None:
                await self.push_frame(ready)

    async def _release(self) -> None:
        """Push the held frames that are due; one at a time, as their order counts."""
        async with self._releasing:
            for frame in self._held.due(self._speech.heard):
                await self.push_frame(frame)
        if self._speech.silent:
            self._silent.set()

    def _on_event(self, event: lipstream.SessionEvent) -> None:
        if event.kind == "failed":
            logger.error(f"{self}: an utterance could not be spoken: {event.error}")

    async def _close(self) -> None:
        playing, self._playing = self._playing, None
        if playing is not None:
            await self.cancel_task(playing)
        if self._session is not None:
            self._session.close()
            self._session = None
            self._speech.interrupt()
            self._silent.set()
