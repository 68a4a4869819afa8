"""Frames in as they come, frames out when they are due."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from fractions import Fraction

from lipstream.errors import OptionError
from lipstream.live.clock import Clock, MonotonicClock
from lipstream.media.image import TimedFrame
from lipstream.timeline import frame_ms


class FrameBuffer:
    """Evens out the arrival of frames: what is shown depends on the clock alone.

    Playback begins once `buffer_ms` of frames wait (or the stream ends earlier) and from then on
    the position in the stream is the time passed since: it never drifts. A frame that is not there
    in time is replaced by the one before; a frame that comes after its time is dropped when a newer
    one is due or when it is more than `buffer_ms` late. At the end the buffer is emptied.

    Bounded: `add_frame` waits while `capacity` frames wait, by default those of twice `buffer_ms`,
    at least 4. For one producer and one consumer in one event loop.
    """

    def __init__(
        self,
        target_fps: float | Fraction = 25,
        buffer_ms: int = 200,
        *,
        capacity: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        if target_fps <= 0 or buffer_ms < 0:
            raise OptionError("target_fps must be above 0 and buffer_ms not below 0.")
        self.fps = Fraction(target_fps)
        self.buffer_ms = buffer_ms
        self.capacity = capacity or max(4, 2 * -(-buffer_ms * self.fps // 1000))
        self.repeated = 0  # frames shown again because the next was not there
        self.dropped = 0  # frames never shown because they came too late
        self._clock = clock or MonotonicClock()
        self._waiting: deque[TimedFrame] = deque()
        self._changed = asyncio.Condition()
        self._shown: TimedFrame | None = None
        self._origin: int | None = None  # the clock's time at which the stream's time is 0
        self._ended = False

    @property
    def drained(self) -> bool:
        """The stream has ended and all of it was shown."""
        return self._ended and not self._waiting

    async def add_frame(self, frame: TimedFrame) -> None:
        """Take the next frame; waits while the buffer is full. Times must not go back."""
        async with self._changed:
            if self._ended:
                raise OptionError("this buffer has ended; open a new one for the next stream.")
            newest = self._waiting[-1] if self._waiting else self._shown
            if newest is not None and frame.timestamp_ms < newest.timestamp_ms:
                raise OptionError(
                    f"frames must come in order: {frame.timestamp_ms} ms after "
                    f"{newest.timestamp_ms} ms."
                )
            await self._changed.wait_for(lambda: len(self._waiting) < self.capacity)
            self._waiting.append(frame)
            self._changed.notify_all()

    async def end(self) -> None:
        """No more frames: play what waits and finish. May be called twice."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def get_frame(self, now_ms: int) -> TimedFrame | None:
        """What is to be seen at `now_ms` of the caller's clock.

        None before playback has begun and after the last frame's time is over.
        """
        async with self._changed:
            frame = self._due(now_ms)
            self._changed.notify_all()
            return frame

    async def smooth_playback(self) -> AsyncIterator[TimedFrame]:
        """The frame to show at every tick of `target_fps`, from the first to the last."""
        async with self._changed:
            await self._changed.wait_for(self._ready)
        start, tick = self._clock.now_ms(), 0
        while True:
            now = start + frame_ms(tick, self.fps)
            await self._clock.sleep_until(now)
            frame = await self.get_frame(now)
            if frame is None:
                return
            yield frame
            tick += 1

    def _ready(self) -> bool:
        """Enough waits to begin, or nothing more will come."""
        if self._ended or len(self._waiting) >= self.capacity:
            return True
        if not self._waiting:
            return False
        buffered = self._waiting[-1].timestamp_ms - self._waiting[0].timestamp_ms
        return buffered + frame_ms(1, self.fps) >= self.buffer_ms

    def _due(self, now_ms: int) -> TimedFrame | None:
        if self._origin is None:
            if not self._ready() or not self._waiting:
                return None
            self._origin = now_ms - self._waiting[0].timestamp_ms
        position = now_ms - self._origin
        fresh = None
        while self._waiting and self._waiting[0].timestamp_ms <= position:
            if fresh is not None:
                self.dropped += 1
            fresh = self._waiting.popleft()
        if fresh is not None and position - fresh.timestamp_ms > self.buffer_ms + self._period:
            self.dropped += 1
            fresh = None
        if fresh is None:
            if self._over(position):
                return None
            self.repeated += self._missed(position)
        else:
            self._shown = fresh
        return self._shown

    @property
    def _period(self) -> int:
        return frame_ms(1, self.fps)

    def _over(self, position: int) -> bool:
        """Nothing waits, nothing will come, and the last frame was seen for its whole time."""
        if not self.drained:
            return False
        return self._shown is None or position >= self._shown.timestamp_ms + self._period

    def _missed(self, position: int) -> int:
        """1 when a new frame should have been here by now."""
        if self._shown is None:
            return 0
        return int(position >= self._shown.timestamp_ms + self._period)
