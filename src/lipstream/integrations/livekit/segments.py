"""The segments of an agent's speech: one after the other to a runner, each told of exactly once."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from livekit import rtc
from livekit.agents.voice.avatar import AudioReceiver, AudioSegmentEnd

MAX_WAITING_S = 600.0  # of one session; what comes beyond must wait, or is cut off


@dataclass(slots=True, eq=False)
class Segment:
    """A piece of speech that an agent says in one go; it waits for an answer that it was played."""

    frames: deque[rtc.AudioFrame] = field(default_factory=deque)  # that the runner has not taken
    pushed_s: float = 0.0
    taken_s: float = 0.0
    complete: bool = False  # no more of it will come
    cleared: bool = False  # no more of it is wanted
    end_taken: bool = False
    started: bool = False  # the agent was told

    @property
    def taken(self) -> bool:
        """True once the runner has its first frame."""
        return self.taken_s > 0

    def push(self, frame: rtc.AudioFrame) -> None:
        """Append sound, unless the segment was cleared."""
        if frame.samples_per_channel and not self.cleared:
            self.frames.append(frame)
            self.pushed_s += _seconds(frame)

    def take(self) -> rtc.AudioFrame:
        """The next frame, for the runner."""
        frame = self.frames.popleft()
        self.taken_s += _seconds(frame)
        return frame

    def clear(self) -> None:
        """Drop what waits and what comes."""
        self.cleared = True
        self.frames.clear()
        self.pushed_s = self.taken_s


class SegmentReceiver(AudioReceiver):
    """Hands segments to an `AvatarRunner` and tells the agent of each: at most once that it has
    started, exactly once that it has finished, and how much of it was played.

    A runner keeps one flag and one position for all segments, and resets them in a task of its own
    when the buffer is cleared. So it gets the next segment when the one before was told of: sound
    that comes at the same moment as an interrupt is neither wiped nor counted twice. A segment that
    an interrupt finds waiting is told as finished at 0 without having started.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[Segment] = deque()
        self._current: Segment | None = None
        self._clearing = False  # the runner is about to tell that the current one was interrupted
        self._closed = False
        self._changed = asyncio.Event()

    @abstractmethod
    def tell_started(self) -> None:
        """Tell the agent that the sound of a segment is heard now."""

    @abstractmethod
    def tell_finished(self, position_s: float, interrupted: bool) -> None:
        """Tell the agent that no more of a segment will be heard, and where it stopped."""

    @property
    def waiting_s(self) -> float:
        """Seconds of sound that the runner has not taken."""
        segments = (*self._waiting, *([] if self._current is None else [self._current]))
        return sum(segment.pushed_s - segment.taken_s for segment in segments)

    def open_segment(self) -> Segment:
        """Take one more segment; call `changed` when it was pushed to or is complete."""
        segment = Segment()
        self._waiting.append(segment)
        return segment

    def changed(self) -> None:
        """Have the runner look for more."""
        self._changed.set()

    def clear_segments(self) -> None:
        """Play no more of all that came: fade out what is heard, drop what waits."""
        dropped = [*self._waiting]
        self._waiting.clear()
        current = self._current
        for segment in dropped if current is None else [current, *dropped]:
            segment.clear()
        if current is None or not current.taken:
            self._current = None
            dropped = dropped if current is None else [current, *dropped]
        elif not self._clearing:
            self._clearing = True
            self.emit("clear_buffer")
        if self._clearing:
            self._waiting.extend(dropped)  # to be told of behind the current one
        else:
            for _ in dropped:
                self.tell_finished(0.0, True)

    # The runner's side

    def __aiter__(self) -> AsyncIterator[rtc.AudioFrame | AudioSegmentEnd]:
        return self

    async def __anext__(self) -> rtc.AudioFrame | AudioSegmentEnd:
        while not self._closed:
            if (given := self._next()) is not None:
                return given
            self._changed.clear()
            await self._changed.wait()
        raise StopAsyncIteration

    def notify_playback_started(self) -> None:
        if self._current is not None and not self._current.started:
            self._current.started = True
            self.tell_started()

    def notify_playback_finished(self, playback_position: float, interrupted: bool) -> None:
        if (current := self._current) is None:
            return
        self._current, self._clearing = None, False
        # The last unit is filled up with silence.
        self.tell_finished(min(playback_position, current.pushed_s), interrupted)
        while self._waiting and self._waiting[0].cleared:
            self._waiting.popleft()
            self.tell_finished(0.0, True)
        self.changed()

    async def aclose(self) -> None:
        """Tell that what has not finished never will."""
        self._closed = True
        for _ in range(len(self._waiting) + (self._current is not None)):
            self.tell_finished(0.0, True)
        self._current = None
        self._waiting.clear()
        self.changed()

    def _next(self) -> rtc.AudioFrame | AudioSegmentEnd | None:
        """The next frame, or end, if there is one and the runner may have it."""
        if self._current is None and self._waiting:
            self._current = self._waiting.popleft()
        current = self._current
        if current is None or self._clearing:
            return None
        if current.frames:
            return current.take()
        if current.complete and not current.end_taken:
            current.end_taken = True
            if current.taken:
                return AudioSegmentEnd()
            self.notify_playback_finished(0.0, False)  # it was empty
            return self._next()
        return None


def _seconds(frame: rtc.AudioFrame) -> float:
    return float(frame.samples_per_channel / frame.sample_rate)
