"""Pictures in as they come, pictures out when they are due."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from fractions import Fraction

from lipstream.errors import OptionError
from lipstream.live.clock import Clock, MonotonicClock
from lipstream.media.image import Picture, TimedFrame
from lipstream.timeline import exact_rate, frame_ms

MAX_WAITING_S = 10  # of frames in a buffer, unless it is given a capacity


class FrameBuffer:
    """Evens out the arrival of frames: which one is shown depends on the clock alone.

    Playback begins once `buffer_ms` of frames wait (or the stream ends earlier); from then on the
    position in the stream is the time passed since, so it never drifts. A frame that is missing
    when due is replaced by the one before; one that comes after its time is dropped when a newer
    one is due or when it is more than `buffer_ms` late. After `end` all that waits is played.

        buffer_ms=80, frames at 0, 40, 120 ms:    get_frame(1000) -> 0, starts the clock at 1000
        get_frame(1040) -> 40    get_frame(1080) -> 40 again    get_frame(1120) -> 120

    Bounded: `add_frame` waits while `capacity` frames wait, by default those of 10 s. For one
    producer and one consumer in one event loop.
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
        self.target_fps, self.buffer_ms = target_fps, buffer_ms
        self.frame_duration_ms = float(1000 / target_fps)
        self.frames: deque[TimedFrame] = deque()  # those that wait, oldest first
        self.last_frame: Picture | None = None  # the picture shown last
        self.repeated = 0  # pictures shown again because the next was missing
        self.dropped = 0  # frames never shown because they came too late
        self._fps = exact_rate(target_fps)
        self._period = frame_ms(1, self._fps)
        waiting_ms = max(2 * buffer_ms, 1000 * MAX_WAITING_S)
        self.capacity = capacity or max(4, -(-waiting_ms * self._fps // 1000))
        self._clock = clock or MonotonicClock()
        self._changed = asyncio.Event()
        self._shown_ms: int | None = None  # timestamp of `last_frame`
        self._origin: int | None = None  # the clock's time at which the stream's time is 0
        self._running = self._ended = False

    @property
    def running(self) -> bool:
        """Playback goes on. Set it to False to end `smooth_playback` before its next picture."""
        return self._running

    @running.setter
    def running(self, running: bool) -> None:
        self._running = running
        self._changed.set()

    @property
    def drained(self) -> bool:
        """The stream has ended and all of it was shown."""
        return self._ended and not self.frames

    async def add_frame(
        self, frame: Picture | TimedFrame, timestamp_ms: float | None = None
    ) -> None:
        """Take the next picture and its time, or both as one `TimedFrame`.

        Waits while the buffer is full. `OptionError` when times go back, when a picture comes
        without its time, and after `end`, also when that comes while this waits.
        """
        if not isinstance(frame, TimedFrame):
            if timestamp_ms is None:
                raise OptionError("timestamp_ms must be given with a picture.")
            frame = TimedFrame(frame, int(timestamp_ms))
        await self._wait_for(lambda: self._ended or len(self.frames) < self.capacity)
        if self._ended:
            raise OptionError("this buffer has ended; open a new one for the next stream.")
        newest = self.frames[-1].timestamp_ms if self.frames else self._shown_ms
        came = frame.timestamp_ms
        if newest is not None and came < newest:
            raise OptionError(f"frames must come in order: {came} ms after {newest} ms.")
        self.frames.append(frame)
        self._changed.set()

    async def end(self) -> None:
        """No more frames: play what waits and finish. May be called twice."""
        self._ended = True
        self._changed.set()

    async def get_frame(self, current_time_ms: float) -> Picture | None:
        """The picture to show at `current_time_ms` of the caller's clock.

        None before playback has begun and after the last frame's time is over.
        """
        picture = self._due(int(current_time_ms))
        self._changed.set()
        return picture

    async def smooth_playback(self) -> AsyncIterator[Picture]:
        """The picture to show at every tick of `target_fps`, from the first to the last.

        Ends after the last frame of a stream that has ended, or when `running` is set to False;
        then it may be called again. A consumer slower than the ticks misses pictures instead of
        falling behind.
        """
        self._running, self._origin = True, None
        try:
            await self._wait_for(lambda: self._ready() or not self._running)
            start, tick = self._clock.now_ms(), 0
            while self._running:
                picture = await self.get_frame(start + frame_ms(tick, self._fps))
                if picture is None:
                    return
                yield picture
                passed = int((self._clock.now_ms() - start) * self._fps / 1000)
                if passed > tick:  # the others must run, too, where nothing waits for the clock
                    await asyncio.sleep(0)
                tick = max(tick + 1, passed)
                await self._clock.sleep_until(start + frame_ms(tick, self._fps))
        finally:
            self._running = False

    async def _wait_for(self, ready: Callable[[], bool]) -> None:
        while not ready():
            self._changed.clear()
            await self._changed.wait()

    def _ready(self) -> bool:
        """Enough waits to begin, or nothing more will come."""
        if self._ended or not self.frames:
            return self._ended
        buffered = self.frames[-1].timestamp_ms - self.frames[0].timestamp_ms + self._period
        return buffered >= self.buffer_ms or len(self.frames) >= self.capacity

    def _due(self, now_ms: int) -> Picture | None:
        if self._origin is None:
            if not self._ready() or not self.frames:
                return None
            self._origin = now_ms - self.frames[0].timestamp_ms
        position = now_ms - self._origin
        fresh = None
        while self.frames and self.frames[0].timestamp_ms <= position:
            if fresh is not None:
                self.dropped += 1
            fresh = self.frames.popleft()
        if fresh is not None and position - fresh.timestamp_ms > self.buffer_ms + self._period:
            self.dropped += 1
            fresh = None
        if fresh is not None:
            self.last_frame, self._shown_ms = fresh.frame, fresh.timestamp_ms
        elif self._shown_ms is None or position >= self._shown_ms + self._period:
            if self.drained:
                return None
            self.repeated += int(self._shown_ms is not None)
        return self.last_frame
