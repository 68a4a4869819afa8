"""The ways of frames to a renderer and back: batch by batch, pipelined, or by parallel workers.

A dispatcher is used by the scheduler's thread alone. None of its methods raises what drawing
raises: an error is the result of its frame.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

from lipstream.live.clock import Clock
from lipstream.live.scheduler.isolation import each
from lipstream.live.scheduler.jobs import RenderJob
from lipstream.live.scheduler.session_queue import SessionQueue
from lipstream.media.image import Picture
from lipstream.rendering.base import (
    FrameRequest,
    ParallelRenderer,
    PendingPictures,
    PipelinedRenderer,
    Renderer,
    pipelined,
)
from lipstream.rendering.registry import Backend

Frames: TypeAlias = Sequence[tuple[SessionQueue, RenderJob]]


@dataclass(frozen=True, slots=True, eq=False)
class RenderedBatch:
    """Frames that the renderer has drawn in one go, each with its picture or why there is none."""

    frames: Frames
    pictures: Sequence[Picture | Exception]
    began_ms: int  # when the renderer was given them
    done_ms: int  # when it gave them back
    cost_ms: float  # the time between without that in which other frames were drawn first


class Dispatcher(Protocol):
    """One way of having frames drawn."""

    waits: int  # batches until a frame that is added now is drawn, its own included
    overlaps: bool  # speech is encoded while it draws
    gather_s: float  # to wait before a step, in which more work may come

    def room(self) -> int:
        """Frames that may be begun now."""

    def ready_ms(self, now_ms: int, cost_ms: float) -> float:
        """The time at which a batch that is begun now could be ready, if one takes `cost_ms`."""

    def begin(self, frames: Frames) -> None:
        """Have some frames drawn, at most `room()`; may be none."""

    def drawn(self) -> list[RenderedBatch]:
        """Take what can be handed over; may wait for a batch."""

    @property
    def pending(self) -> bool:
        """`drawn` has something to give or to wait for."""


def open_dispatcher(backend: Backend, clock: Clock, changed: threading.Condition) -> Dispatcher:
    """The dispatcher that fits the backend's renderer; `changed` is notified of drawn frames."""
    renderer = backend.renderer
    if isinstance(renderer, ParallelRenderer):
        return ParallelDispatcher(renderer, clock, changed)
    device = pipelined(renderer)
    if device is not None:
        return PipelinedDispatcher(device, clock, backend.batch)
    return SerialDispatcher(renderer, clock, backend.batch)


class SerialDispatcher:
    """The caller draws: a batch is ready when it is taken."""

    waits, overlaps, gather_s = 2, False, 0.0

    def __init__(self, renderer: Renderer, clock: Clock, batch: int) -> None:
        self._renderer, self._clock, self._batch = renderer, clock, batch
        self._frames: Frames = ()

    @property
    def pending(self) -> bool:
        return bool(self._frames)

    def room(self) -> int:
        return self._batch

    def ready_ms(self, now_ms: int, cost_ms: float) -> float:
        return now_ms + cost_ms

    def begin(self, frames: Frames) -> None:
        self._frames = frames

    def drawn(self) -> list[RenderedBatch]:
        frames, self._frames = self._frames, ()
        if not frames:
            return []
        began = self._clock.now_ms()
        pictures = each([job.request for _, job in frames], self._renderer.render)
        now = self._clock.now_ms()
        return [RenderedBatch(frames, pictures, began, now, now - began)]


class PipelinedDispatcher:
    """A device draws: the next batch is begun before the last one is waited for.

    Never more than one is pending, so that what is urgent waits for two at most.
    """

    waits, overlaps, gather_s = 3, True, 0.0

    def __init__(self, renderer: PipelinedRenderer, clock: Clock, batch: int) -> None:
        self._renderer, self._clock, self._batch = renderer, clock, batch
        self._begun: tuple[Frames, PendingPictures | Exception, int] | None = None
        self._earlier: tuple[Frames, PendingPictures | Exception, int] | None = None
        self._free_ms = 0  # when the last batch was ready

    @property
    def pending(self) -> bool:
        return self._begun is not None

    def room(self) -> int:
        return self._batch

    def ready_ms(self, now_ms: int, cost_ms: float) -> float:
        start: float = now_ms
        if self._begun is not None:
            start = max(start, max(self._begun[2], self._free_ms) + cost_ms)
        return start + cost_ms

    def begin(self, frames: Frames) -> None:
        self._earlier, self._begun = self._begun, None
        if not frames:
            return
        now = self._clock.now_ms()
        pending: PendingPictures | Exception
        try:
            pending = self._renderer.begin([job.request for _, job in frames])
        except Exception as error:  # whatever a backend raises is given to the sessions concerned
            pending = error
        self._begun = frames, pending, now

    def drawn(self) -> list[RenderedBatch]:
        if self._earlier is None:
            return []
        (frames, pending, began), self._earlier = self._earlier, None
        pictures = self._finish(frames, pending)
        now = self._clock.now_ms()
        # A batch that was begun behind another one has waited for it first.
        cost, self._free_ms = now - max(began, self._free_ms), now
        return [RenderedBatch(frames, pictures, began, now, cost)]

    def _finish(
        self, frames: Frames, pending: PendingPictures | Exception
    ) -> list[Picture | Exception]:
        """The pictures of a batch; when it raised, its frames are drawn alone."""
        first = iter([pending])

        def wait(requests: Sequence[FrameRequest]) -> list[Picture]:
            batch = next(first, None)
            if batch is None:
                return self._renderer.render(requests)
            if isinstance(batch, Exception):
                raise batch
            return batch.finish()

        return each([job.request for _, job in frames], wait)


class ParallelDispatcher:
    """Workers draw frame by frame; each is handed over as soon as it is done."""

    # Frames come one by one, from each session and each worker, and are due long after. To wake a
    # thread for every one of them costs more processor time than what it does then.
    waits, overlaps, gather_s = 3, True, 0.003

    def __init__(
        self, renderer: ParallelRenderer, clock: Clock, changed: threading.Condition
    ) -> None:
        self._renderer, self._clock, self._changed = renderer, clock, changed
        self._in_flight = 0
        self._drawn: deque[RenderedBatch] = deque()  # guarded by `changed`

    @property
    def pending(self) -> bool:
        return bool(self._drawn)

    def room(self) -> int:
        return max(self._renderer.slots - self._in_flight, 0)

    def ready_ms(self, now_ms: int, cost_ms: float) -> float:
        return now_ms + cost_ms * self._turns()

    def begin(self, frames: Frames) -> None:
        for queue, job in frames:
            turns = self._turns()
            self._in_flight += 1
            taken = partial(self._take, (queue, job), self._clock.now_ms(), turns)
            try:
                result = self._renderer.submit(job.request)
            except Exception as error:  # as above
                result = Future()
                result.set_exception(error)
            result.add_done_callback(taken)

    def drawn(self) -> list[RenderedBatch]:
        with self._changed:
            batches = list(self._drawn)
            self._drawn.clear()
        self._in_flight -= len(batches)
        return batches

    def _turns(self) -> int:
        """Frames that a worker draws before a new one is ready, that one included."""
        return 1 + self._in_flight // self._renderer.parallelism

    def _take(
        self,
        frame: tuple[SessionQueue, RenderJob],
        began_ms: int,
        turns: int,
        result: Future[Picture],
    ) -> None:
        """Called on a thread of the renderer, or on the scheduler's."""
        error, now = result.exception(), self._clock.now_ms()
        picture = error if isinstance(error, Exception) else result.result()
        batch = RenderedBatch([frame], [picture], began_ms, now, (now - began_ms) / turns)
        with self._changed:
            self._drawn.append(batch)
            self._changed.notify()
