"""The pictures and the sound of a live session, as LiveKit's `AvatarRunner` takes them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

import numpy as np
from livekit import rtc
from livekit.agents.voice.avatar import AudioSegmentEnd, VideoGenerator

from lipstream.errors import LipstreamError
from lipstream.live.session.types import Unit
from lipstream.live.session.utterance import Utterance
from lipstream.media.audio import AudioChunk
from lipstream.media.image import Picture
from lipstream.timeline import SOUND_RATE, UNIT_MS, UNIT_SAMPLES

log = logging.getLogger("lipstream.livekit")

LEAD = 1  # units
UNIT_S = UNIT_MS / 1000
MAX_WAIT_S = UNIT_S / 2  # of a picture, between being given and shown
MAX_BEHIND_S = 0.3  # from here on a runner begins to count anew
SOURCE_S = 0.01  # that a room takes out of a source at a time
FADE_S = 0.2  # in which the unit that fades out is given, where units are taken at all


class Speaker(Protocol):
    """A session that is spoken in. `lipstream.Session` is one."""

    def units(self) -> AsyncIterator[Unit]:
        """Units as they become due."""

    def open_utterance(self, sample_rate: int) -> Utterance:
        """Open an utterance behind those that are still to be played."""

    def interrupt(self) -> int:
        """Cancel all that is spoken or waits."""


class PicturePace:
    """The moments at which a runner shows the pictures that it takes: one every 40 ms, from the
    first on, and at once when it is behind. Sound does not wait so, and a few pictures that come at
    once, as after a stall, would make all that follow late: those that would wait are left out.

    For example pictures are taken at 0, 1, 33 and 73 ms: the second would wait until 40 ms and is
    left out, the third waits 7 ms, and so does each after it.
    """

    def __init__(self) -> None:
        self._due_s: float | None = None  # when the next one is shown, if it is there by then

    def in_time(self, now_s: float) -> bool:
        """True when a picture that is taken now is shown about now."""
        return self._due_s is None or self._due_s - now_s <= MAX_WAIT_S

    def taken(self, now_s: float) -> None:
        """Note that a picture was taken."""
        if self._due_s is None or now_s - self._due_s > MAX_BEHIND_S:
            self._due_s = now_s
        self._due_s += UNIT_S


class SessionVideoGenerator(VideoGenerator):
    """Gives a runner a picture every 40 ms, and while there is speech its sound.

    A segment of the runner is an utterance of the session. Its first unit of sound is held until
    `lead` more have come, so that the source of sound in the room, which has a clock of its own,
    does not run out; pictures are late by as much at all times. `AudioSegmentEnd` follows once all
    sound has left that source, and only then is another segment taken: the runner knows of one at
    a time. Silence between segments is not given, as it would count as having been played.
    """

    def __init__(self, speaker: Speaker, *, lead: int = LEAD) -> None:
        self._speaker, self._lead = speaker, lead
        self._utterance: Utterance | None = None  # of the segment
        self._begun = self._complete = False  # the segment
        self._free = asyncio.Event()  # no segment is still to be given to its end
        self._held: list[rtc.AudioFrame] = []  # the first sound of a stretch of speech
        self._flowing = False  # sound has been given since the last silent unit
        self._fading: asyncio.Event | None = None  # set with the unit after an interrupt

    async def push_audio(self, frame: rtc.AudioFrame | AudioSegmentEnd) -> None:
        """Take a part of a segment, when there is room, or its end, when it was played."""
        if isinstance(frame, AudioSegmentEnd):
            if self._begun:
                if self._utterance is not None:
                    self._utterance.end()
                self._complete = True
                await self._free.wait()
            return
        self._begun = True
        self._free.clear()
        if frame.samples_per_channel == 0:
            return
        if self._utterance is None:
            try:
                self._utterance = self._speaker.open_utterance(frame.sample_rate)
            except LipstreamError as error:  # the session has ended, or others have filled it
                log.warning("what an agent says is not spoken: %s", error)
                return
        utterance = self._utterance
        await utterance.room(1000 * frame.samples_per_channel // frame.sample_rate)
        # After an interrupt it is finished and drops what it is given.
        utterance.push(AudioChunk(_samples(frame), frame.sample_rate))

    async def clear_buffer(self) -> None:
        """Play no more of the segment; returns when its sound has faded out."""
        fading = self._fading = asyncio.Event() if self._flowing else None
        self._held.clear()
        self._speaker.interrupt()
        self._close_segment()
        if fading is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(fading.wait(), FADE_S)

    def __aiter__(self) -> AsyncIterator[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd]:
        return self._frames()

    async def _frames(
        self,
    ) -> AsyncGenerator[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd, None]:
        pictures, pace = deque[rtc.VideoFrame](), PicturePace()
        now, quiet = asyncio.get_running_loop().time, 0.0  # when all sound has left the source
        units = self._speaker.units()
        try:
            async for unit in units:
                fading, self._fading = self._fading, None
                pictures.append(video_frame(unit.frame))
                if len(pictures) > self._lead:
                    picture = pictures.popleft()
                    if pace.in_time(now()):
                        yield picture
                        pace.taken(now())
                for sound in self._audible(unit, fading is not None):
                    yield sound
                    quiet = now() + (self._lead + 1) * UNIT_S - SOURCE_S
                if fading is not None:
                    self._flowing = False
                    fading.set()
                silent = not self._flowing and not self._held
                if self._segment_over and silent and now() >= quiet:
                    yield AudioSegmentEnd()
                    self._close_segment()
        finally:
            self._close_segment()
            if isinstance(units, AsyncGenerator):
                await units.aclose()

    @property
    def _segment_over(self) -> bool:
        """True when no more of the segment will be played."""
        return self._complete and (self._utterance is None or self._utterance.finished)

    def _close_segment(self) -> None:
        self._utterance, self._begun, self._complete = None, False, False
        self._free.set()

    def _audible(self, unit: Unit, faded: bool) -> list[rtc.AudioFrame]:
        """The sound to be given now that `unit` has come, which may be `faded` speech."""
        if not unit.speaking and not (faded and unit.samples.any()):
            rest, self._held, self._flowing = self._held, [], False
            return rest
        sound = rtc.AudioFrame(unit.samples.tobytes(), SOUND_RATE, 1, UNIT_SAMPLES)
        if self._flowing:
            return [sound]
        self._held.append(sound)
        if len(self._held) <= self._lead and not self._segment_over:
            return []
        burst, self._held, self._flowing = self._held, [], True
        return burst


def video_frame(picture: Picture) -> rtc.VideoFrame:
    """RGB as it is, or the planes of I420, which need no conversion in the room."""
    pixels = picture.tobytes()
    if picture.ndim == 2:
        height, width = picture.shape[0] * 2 // 3, picture.shape[1]
        return rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, pixels)
    return rtc.VideoFrame(picture.shape[1], picture.shape[0], rtc.VideoBufferType.RGB24, pixels)


def _samples(frame: rtc.AudioFrame) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
    return np.frombuffer(frame.data, np.int16).reshape(-1, frame.num_channels)
