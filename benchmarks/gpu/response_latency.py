"""The time from a chunk of speech to the frames that it makes possible."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from lipstream.bench.sessions import SimulatedClient
from lipstream.live.scheduler.dispatch import RenderedBatch
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.scheduler.session_queue import SessionQueue
from lipstream.live.session.types import Unit
from lipstream.timeline import FPS, SAMPLE_RATE, frame_start

if TYPE_CHECKING:
    from lipstream.bench.sessions import Encode, LoadSetup
    from lipstream.engine import Engine
    from lipstream.live.clock import Clock
    from lipstream.media.image import Floats
    from lipstream.speech.base import Plan

Interval: TypeAlias = tuple[int, int]  # ms of the clock: a frame's batch was begun, was done


@dataclass(frozen=True, slots=True)
class Latency:
    """The latency of one chunk, ms after it was pushed."""

    begun: int  # until the device was given the last frame that the chunk makes possible
    made: int  # until that frame was drawn


class LatencyTracker:
    """Matches one session's chunks with the frames of its only, endless utterance.

    A frame is possible when the sound of its segment and the look-ahead behind it have been pushed:
    with frames of 40 ms, no look-ahead and chunks of 100 ms the first chunk makes frames 0 and 1
    possible, the second 2 to 4. Waiting beyond that is the server's doing.
    """

    def __init__(self, plan: Plan, chunk_ms: int) -> None:
        self.latencies: list[Latency] = []
        self._plan, self._chunk = plan, SAMPLE_RATE * chunk_ms // 1000
        self._pushed: deque[int] = deque()  # times of chunks, that of `_first` in front
        self._first = 0
        self._frame = 0  # the next one of the utterance
        self._last: Interval | None = None  # of the frames that chunk `_first` made possible

    def push(self, now_ms: int) -> None:
        """Note that the next chunk was pushed."""
        self._pushed.append(now_ms)

    def show(self, interval: Interval | None) -> None:
        """Note that the next frame was given out; None when it was not drawn in time.

        A chunk that makes no frame possible has no latency.
        """
        chunk = self._chunk_of(self._frame)
        self._frame += 1
        if chunk > self._first:
            if self._last is not None:
                pushed, (begun, made) = self._pushed[0], self._last
                self.latencies.append(Latency(begun - pushed, made - pushed))
            for _ in range(chunk - self._first):
                self._pushed.popleft()
            self._first, self._last = chunk, None
        if interval is not None:
            self._last = interval

    def _chunk_of(self, frame: int) -> int:
        """The chunk that brings the last sample that `frame` needs."""
        step = self._plan.step
        needed = frame_start((frame // step + 1) * step, FPS) + self._plan.future
        return (needed - 1) // self._chunk


class ObservedScheduler(Scheduler):
    """A scheduler that notes when frames were drawn."""

    def __init__(self, engine: Engine, *, clock: Clock | None = None) -> None:
        super().__init__(engine, clock=clock, watch=self._note)
        # By queue, in the order in which they were opened: frames by their index.
        self.intervals: dict[SessionQueue, dict[int, Interval]] = {}

    def open(self) -> SessionQueue:
        """See `Scheduler.open`."""
        queue = super().open()
        self.intervals[queue] = {}
        return queue

    def _note(self, batch: RenderedBatch) -> None:
        for queue, job in batch.frames:
            if job.picture is not None:
                self.intervals[queue][job.request.index] = (batch.began_ms, batch.done_ms)


class TrackedClient(SimulatedClient):
    """A client of an `ObservedScheduler` that also tells `begun` and `made`; see `Latency`."""

    def __init__(
        self, setup: LoadSetup, scheduler: Scheduler, signal: Floats, encode: Encode | None
    ) -> None:
        super().__init__(setup, scheduler, signal, encode)
        assert isinstance(scheduler, ObservedScheduler)
        self._intervals = list(scheduler.intervals.values())[-1]  # of the session just opened
        self._tracker = LatencyTracker(setup.engine.backend.encoder.plan, setup.chunk_ms)
        self._clock = scheduler.clock

    def begin(self) -> None:
        super().begin()
        self._tracker.latencies.clear()

    def latencies(self) -> dict[str, Sequence[float]]:
        found = self._tracker.latencies
        answers = {"begun": [one.begun for one in found], "made": [one.made for one in found]}
        return answers | super().latencies()

    def chunk_pushed(self) -> None:
        self._tracker.push(self._clock.now_ms())

    def unit_shown(self, unit: Unit) -> None:
        interval = self._intervals.pop(unit.index, None)
        if unit.speaking:
            self._tracker.show(interval if unit.fresh else None)


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The percentile of `values`; None where there are none."""
    return float(np.percentile(values, percent)) if values else None
