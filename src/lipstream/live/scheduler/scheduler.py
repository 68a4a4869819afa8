"""One thread that works for all live sessions of a backend, earliest deadline first."""

from __future__ import annotations

import heapq
import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipstream.avatar.avatar import Avatar
from lipstream.engine import Engine
from lipstream.errors import OptionError
from lipstream.live.clock import Clock, MonotonicClock
from lipstream.live.scheduler.headroom import Headroom
from lipstream.live.scheduler.isolation import PendingBatch, each
from lipstream.live.scheduler.jobs import EncodeResult, UtteranceEncoder
from lipstream.live.scheduler.session_queue import (
    EncodeJob,
    RenderJob,
    SessionQueue,
    boost,
    next_pieces,
)
from lipstream.rendering.base import PipelinedRenderer, pipelined
from lipstream.rendering.opencv_threads import one_thread_per_picture
from lipstream.stream import Segment
from lipstream.timeline import FPS

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Picture

PIECES_AT_ONCE = 16  # of speech, heard between two batches of frames
MAX_PACE_MS = 120  # of a batch, at most, unless batches take half as long already

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class SchedulerCounts:
    """What the scheduler has done. Written by its thread; may be read from any."""

    batches: int = 0  # calls of the renderer
    drawn: int = 0  # frames delivered in time
    dropped: int = 0  # frames that could not be ready in time: not drawn at all
    late: int = 0  # frames drawn for nothing
    failed: int = 0  # frames and pieces of speech that raised
    heard: int = 0  # pieces of speech


@dataclass(frozen=True, slots=True, eq=False)
class RenderedBatch:
    """Frames that the renderer has drawn in one go; those without a picture have failed."""

    frames: Sequence[tuple[SessionQueue, RenderJob]]
    began_ms: int  # when the renderer was given them
    done_ms: int  # when it gave them back; a batch before it may have been waited for


class Scheduler:
    """Hears and draws for all sessions of one engine, which must run at 25 frames per second.

    It has no timer: it takes what waits, earliest due first, works, and looks again. A frame that
    nobody wants any more, or that could not be ready by its deadline, is dropped before it costs
    anything. In overload a queue that lost a frame goes before the others, so that all lose alike.
    An error fails the one piece of work that raised it.

    With a renderer that is pipelined the next batch is begun before the last one is waited for:
    its device always has something to do, and hearing costs it nothing. Never more than one batch
    is pending, so that what is urgent waits for two at most.

    `start` gives it a thread; without one, `step` does the work of one batch. Lanes may be used
    from any thread. `watch` is told of each batch of frames, on the working thread.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Clock | None = None,
        watch: Callable[[RenderedBatch], None] | None = None,
    ) -> None:
        if engine.fps != FPS:
            raise OptionError(f"live sessions run at {FPS} fps; open the backend without fps.")
        self.engine = engine
        self.clock = clock or MonotonicClock()
        self.counts = SchedulerCounts()
        self._watch = watch
        self._changed = threading.Condition()
        self._queues: list[SessionQueue] = []
        self._closed = False
        self._thread: threading.Thread | None = None
        self._pipelined = pipelined(engine.backend.renderer)
        self._begun: PendingBatch | None = None  # used by the working thread alone
        self._free_ms = 0  # when the last batch was delivered
        self._pace: float = 0.0  # ms that a batch with speech takes, about
        self._spoke = False  # a batch with speech has been drawn
        self._reserve = Headroom()

    @property
    def drawing_ms(self) -> int:
        """How soon a frame can be there when it is asked for: its batch, and those before it."""
        before = 1 if self._pipelined is None else 2
        return round((before + 1) * self._pace)

    @property
    def reserve_ms(self) -> int:
        """How much earlier than just in time work should be given at present; see `Headroom`."""
        return self._reserve.ms

    def start(self) -> None:
        """Work in a thread of its own from now on, until `close`."""
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(
                target=self._run, name="lipstream-scheduler", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Stop after the batch in hand and wait for the thread. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is None:
            self._settle()
        elif self._thread is not threading.current_thread():
            self._thread.join()

    def open(self) -> SessionQueue:
        """A place for one session's work."""
        queue = SessionQueue(self._changed, self._forget)
        with self._changed:
            self._queues.append(queue)
        return queue

    def hearing(self, avatar: Avatar, sample_rate: int) -> UtteranceEncoder:
        """A fresh utterance; AudioError for an impossible rate."""
        return UtteranceEncoder(self.engine.open_stream(avatar), sample_rate)

    def step(self) -> bool:
        """Hear what waits and draw one batch; whether there was anything to do."""
        if self._pipelined is not None:
            return self._step_pipelined(self._pipelined)
        with self._changed:
            pieces = next_pieces(self._queues, PIECES_AT_ONCE)
            frames = [] if pieces else self._frames()
        if pieces:
            self._listen(pieces)
            with self._changed:
                frames = self._frames()
        if frames:
            self._draw(frames)
        return bool(pieces or frames)

    def _step_pipelined(self, renderer: PipelinedRenderer) -> bool:
        """Begin one batch, hear what waits, then deliver the batch that was begun before.

        In this order the device has its next batch before it ends the last, and speech is heard
        while it draws.
        """
        with self._changed:
            pieces, frames = next_pieces(self._queues, PIECES_AT_ONCE), self._frames()
        earlier, self._begun = self._begun, None
        if frames:
            self._begun = PendingBatch.begin(renderer, frames, self.clock.now_ms())
        if pieces:
            self._listen(pieces)
        if earlier is not None:
            self._deliver(earlier.frames, earlier.finish(renderer), earlier.began_ms)
        return bool(pieces or frames or earlier)

    def _run(self) -> None:
        with one_thread_per_picture():
            while True:
                with self._changed:
                    self._changed.wait_for(self._needed)
                    if self._closed:
                        break
                self.step()
            self._settle()

    def _settle(self) -> None:
        """Deliver what is pending."""
        begun, self._begun = self._begun, None
        if begun is not None and self._pipelined is not None:
            self._deliver(begun.frames, begun.finish(self._pipelined), begun.began_ms)

    def _needed(self) -> bool:
        if self._closed or self._begun is not None:
            return True
        return any(queue.render_jobs or queue.encode_jobs for queue in self._queues)

    def _ready_ms(self) -> float:
        """When a batch that is begun now could be ready, about."""
        now: float = self.clock.now_ms()
        if self._begun is not None:
            now = max(now, max(self._begun.began_ms, self._free_ms) + self._pace)
        return now + self._pace

    def _forget(self, queue: SessionQueue) -> None:
        with self._changed:
            if queue in self._queues:
                self._queues.remove(queue)
            queue.render_jobs.clear()
            queue.encode_jobs.clear()

    def _frames(self) -> list[tuple[SessionQueue, RenderJob]]:
        """The next frames that can be ready in time, at most one batch of them."""
        ready_at = self._ready_ms()
        heads: list[tuple[int, int]] = []
        for n, queue in enumerate(self._queues):
            if queue.render_jobs and self._drop(queue, ready_at):
                heads.append((queue.render_jobs[0].due - queue.credit, n))
        heapq.heapify(heads)
        taken: list[tuple[SessionQueue, RenderJob]] = []
        room = self.engine.backend.batch
        while heads and len(taken) < room:
            _, n = heapq.heappop(heads)
            queue = self._queues[n]
            # One queue after the other would be as right, but most often it goes on with the same.
            until = heads[0][0] + queue.credit if heads else math.inf
            while True:
                taken.append((queue, queue.render_jobs.popleft()))
                if not queue.render_jobs or not self._drop(queue, ready_at):
                    break
                due = queue.render_jobs[0].due
                if due > until or len(taken) >= room:
                    heapq.heappush(heads, (due - queue.credit, n))
                    break
        return taken

    def _drop(self, queue: SessionQueue, ready_at: float) -> bool:
        """Drop the first frames of a queue that are stale or too late; whether any is left."""
        render_jobs = queue.render_jobs
        while render_jobs:
            first = render_jobs[0]
            if not first.cancelled:
                if first.due >= ready_at:
                    return True
                self.counts.dropped += 1
                boost(queue, self._queues)
                self._reserve.grow(self.clock.now_ms())
                # A batch that once took long must not stop all work for ever.
                self._pace *= 0.9
            render_jobs.popleft()
            first.done = True
        return False

    def _listen(self, pieces: list[tuple[SessionQueue, EncodeJob]]) -> None:
        """Hear some pieces; what speech encoders have to do is done in one go."""
        heard = []
        for queue, piece in pieces:
            try:
                sound, segments = piece.hearing.listen(piece.samples, piece.last)
            except Exception as error:  # whatever a backend raises concerns this utterance alone
                self._fail(queue, piece, error)
            else:
                heard.append((queue, piece, sound, segments))
        answers = self._encode([segment for *_, segments in heard for segment in segments])
        for queue, piece, sound, segments in heard:
            conditionings: list[Floats] = []
            for answer in [answers.pop(0) for _ in segments]:
                if isinstance(answer, Exception):
                    self._fail(queue, piece, answer)
                    break
                conditionings.extend(answer)
            else:
                piece.heard = EncodeResult(sound, tuple(conditionings))
                self.counts.heard += 1
                _finish(piece)

    def _encode(self, segments: list[Segment]) -> list[Floats | Exception]:
        """The conditionings of each segment, or why there are none."""
        if not segments:
            return []
        encode = self.engine.backend.encoder.encode
        return each([segment.context for segment in segments], encode)

    def _draw(self, frames: list[tuple[SessionQueue, RenderJob]]) -> None:
        began = self.clock.now_ms()
        render = self.engine.backend.renderer.render
        self._deliver(frames, each([job.request for _, job in frames], render), began)

    def _deliver(
        self,
        frames: list[tuple[SessionQueue, RenderJob]],
        pictures: list[Picture | Exception],
        began_ms: int,
    ) -> None:
        """Hand over what became of a batch that was begun at `began_ms`."""
        now = self.clock.now_ms()
        # A batch that was begun behind another one has waited for it first.
        self._learn(frames, now - max(began_ms, self._free_ms))
        self._free_ms = now
        self.counts.batches += 1
        drawn = 0
        for (queue, job), picture in zip(frames, pictures, strict=True):
            if isinstance(picture, Exception):
                self._fail(queue, job, picture)
                continue
            job.picture = picture
            job.done = True
            if job.wake is not None:
                job.wake()
            if not job.cancelled:
                drawn += 1
                if queue.credit:
                    queue.settle()
            elif job.due <= now:
                self.counts.late += 1
                boost(queue, self._queues)
                self._reserve.grow(self.clock.now_ms())
        self.counts.drawn += drawn
        self._reserve.shrink(drawn)
        if self._watch is not None:
            self._watch(RenderedBatch(frames, began_ms, now))

    def _learn(self, frames: list[tuple[SessionQueue, RenderJob]], took_ms: int) -> None:
        """Frames at rest cost a network nothing: they do not tell how soon speech can be drawn."""
        speaks = any(job.request.conditioning is not None for _, job in frames)
        # A single slow batch says little, and would be believed for as long as nobody speaks.
        believed = min(took_ms, max(MAX_PACE_MS, 2 * self._pace))
        if speaks and not self._spoke:
            self._spoke, self._pace = True, believed
        elif speaks or not self._spoke:
            self._pace += (believed - self._pace) / 8

    def _fail(self, queue: SessionQueue, work: RenderJob | EncodeJob, error: Exception) -> None:
        self.counts.failed += 1
        if not queue.complained:
            queue.complained = True
            _log.error("a live session's work failed: %s", error, exc_info=error)
        work.error = error
        _finish(work)


def _finish(work: RenderJob | EncodeJob) -> None:
    work.done = True
    if work.wake is not None:
        work.wake()
