"""The end of an agent's chain of sound where the face is drawn in the agent's own process."""

from __future__ import annotations

import asyncio
import time

from livekit import rtc
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities

from lipstream.integrations.livekit.segments import MAX_WAITING_S, Segment, SegmentReceiver

LOOK_S = 0.1  # between looks for room
SPEECH_RATE = 24_000  # Hz; LiveKit resamples what a voice gives at another


class LocalSpeechOutput(AudioOutput, SegmentReceiver):
    """Takes what an agent says, for a runner in the same process."""

    def __init__(self, sample_rate: int = SPEECH_RATE) -> None:
        AudioOutput.__init__(  # and what follows it among the bases
            self,
            label="lipstream",
            capabilities=AudioOutputCapabilities(pause=False),
            sample_rate=sample_rate,
        )
        self._captured: Segment | None = None  # the segment that comes at present

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Take sound of the present segment, when there is room; the first opens it."""
        while self.waiting_s > MAX_WAITING_S:  # noqa: ASYNC110 (a rarity)
            await asyncio.sleep(LOOK_S)
        await super().capture_frame(frame)  # counts a segment, which must be opened then
        if self._captured is None:
            self._captured = self.open_segment()
        self._captured.push(frame)
        self.changed()

    def flush(self) -> None:
        """Declare the present segment complete."""
        super().flush()
        if self._captured is not None:
            self._captured.complete, self._captured = True, None
            self.changed()

    def clear_buffer(self) -> None:
        """Stop at once; the rest of the present segment is dropped until its `flush`."""
        self.clear_segments()

    def tell_started(self) -> None:
        self.on_playback_started(created_at=time.time())

    def tell_finished(self, position_s: float, interrupted: bool) -> None:
        self.on_playback_finished(playback_position=position_s, interrupted=interrupted)
