"""One thread that works for all live sessions of a backend, earliest deadline first."""

from __future__ import annotations

import heapq
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from lipstream.avatar.avatar import Avatar
from lipstream.engine import Engine
from lipstream.errors import OptionError
from lipstream.live.clock import Clock, MonotonicClock
from lipstream.live.scheduler.dispatch import RenderedBatch, open_dispatcher
from lipstream.live.scheduler.headroom import FrameCost, Headroom
from lipstream.live.scheduler.isolation import each
from lipstream.live.scheduler.jobs import EncodeJob, RenderJob
from lipstream.live.scheduler.session_queue import SessionQueue, boost, next_encode_jobs
from lipstream.live.scheduler.utterance_encoder import EncodeResult, UtteranceEncoder
from lipstream.media.image import Floats
from lipstream.rendering.opencv_threads import one_thread_per_picture
from lipstream.stream import Segment
from lipstream.timeline import FPS

MAX_ENCODE_JOBS = 16  # pieces of speech encoded between two batches of frames
STALL_S = 3.0  # of one step, after which the scheduler counts as stuck
FAULTS = 3  # steps in a row that raise, after which it counts as broken
FAULT_PAUSE_S = 0.01  # after a step that raised, so that a lasting fault does not take a whole core
CLOSE_S = 10.0  # for the step in hand when the scheduler is closed

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class SchedulerCounts:
    """Totals since the start. Written by the scheduler's thread; may be read from any."""

    batches: int = 0  # calls of the renderer
    drawn: int = 0  # frames delivered in time
    dropped: int = 0  # frames that could not be ready in time: not drawn at all
    late: int = 0  # frames drawn for nothing
    failed: int = 0  # frames and pieces of speech that raised
    encoded: int = 0  # pieces of speech
    faults: int = 0  # steps that raised: an error of the scheduler itself


class Scheduler:
    """Encodes and draws for all sessions of one engine, which must run at 25 frames per second.

    It has no timer: it takes what waits, earliest due first, works, and looks again. A frame that
    is cancelled, or that could not be ready by its deadline, is dropped before it costs anything.
    In overload a queue that lost a frame goes before the others, so that all lose alike. An error
    fails the one piece of work that raised it; a step that raises is counted and survived.

    Where drawing overlaps (a pipelined device, parallel workers) frames are begun first, speech is
    encoded meanwhile, and then what is drawn is handed over.

    `start` gives it a thread; without one, `step` does the work of one batch. Queues may be used
    from any thread. A `with` block starts and closes it. `watch` is called with each batch of
    frames, on the working thread.
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
        self._dispatcher = open_dispatcher(engine.backend, self.clock, self._changed)
        self._cost = FrameCost()
        self._reserve = Headroom()
        self._in_hand: list[tuple[SessionQueue, RenderJob | EncodeJob]] = []  # of this step
        self._step_began: float | None = None
        self._faults: list[Exception] = []  # of steps in a row
        self._logged: set[type[Exception]] = set()

    @property
    def drawing_ms(self) -> int:
        """The time until a frame that is added now can be ready: its batch, and those before it."""
        return round(self._dispatcher.waits * self._cost.ms)

    @property
    def reserve_ms(self) -> int:
        """The time by which work should be given earlier than just in time; see `Headroom`."""
        return self._reserve.ms

    @property
    def fault(self) -> str | None:
        """One sentence saying what is wrong, or None. May be read from any thread."""
        if self._closed or self._thread is None:
            return None
        if not self._thread.is_alive():
            return "the scheduler's thread has ended; restart the server."
        began, faults = self._step_began, self._faults
        if began is not None and (took := time.monotonic() - began) > STALL_S:
            return f"the scheduler has been working on one step for {took:.0f} s."
        if len(faults) >= FAULTS:
            return f"the scheduler fails at every step: {faults[-1]!r}."
        return self.engine.backend.fault

    def start(self) -> None:
        """Work in a thread of its own from now on, until `close`."""
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(
                target=self._run, name="lipstream-scheduler", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Stop after the step in hand, for which it waits seconds at most. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is None:
            self._hand_over_pending()
        elif self._thread is not threading.current_thread():
            self._thread.join(CLOSE_S)
            if self._thread.is_alive():
                _log.error("the scheduler's thread did not end within %.0f s.", CLOSE_S)

    def __enter__(self) -> Scheduler:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> SessionQueue:
        """A place for one session's work."""
        queue = SessionQueue(self._changed, self._remove)
        with self._changed:
            self._queues.append(queue)
        return queue

    def open_encoder(self, avatar: Avatar, sample_rate: int) -> UtteranceEncoder:
        """The encoder of one utterance; AudioError for an impossible rate."""
        return UtteranceEncoder(self.engine.open_stream(avatar), sample_rate)

    def step(self) -> bool:
        """Do what waits, at most one batch of each kind; False when there was nothing to do."""
        dispatcher = self._dispatcher
        with self._changed:
            jobs = next_encode_jobs(self._queues, MAX_ENCODE_JOBS)
            self._in_hand = [*jobs]
            frames = [] if jobs and not dispatcher.overlaps else self._next_frames()
        if jobs and not dispatcher.overlaps:
            self._encode(jobs)
            with self._changed:
                frames = self._next_frames()
        dispatcher.begin(frames)
        if jobs and dispatcher.overlaps:
            self._encode(jobs)
        batches = dispatcher.drawn()
        for batch in batches:
            self._hand_over(batch)
        return bool(jobs or frames or batches)

    def _run(self) -> None:
        with one_thread_per_picture():
            while True:
                with self._changed:
                    self._changed.wait_for(self._needed)
                    if self._closed:
                        break
                time.sleep(self._dispatcher.gather_s)
                self._step_began = time.monotonic()
                self._guarded_step()
                self._step_began = None
            self._hand_over_pending()

    def _guarded_step(self) -> None:
        """A step whose errors fail what it had in hand and nothing else."""
        try:
            self.step()
            self._faults = []
        except Exception as error:  # the thread must live: all sessions depend on it
            self.counts.faults += 1
            self._faults = [*self._faults[-FAULTS:], error]
            if type(error) not in self._logged:
                self._logged.add(type(error))
                _log.error("a step of the scheduler failed: %s", error, exc_info=error)
            for _, job in self._in_hand:
                if not job.done:
                    job.finish(error)
            time.sleep(FAULT_PAUSE_S)

    def _hand_over_pending(self) -> None:
        self._dispatcher.begin([])
        for batch in self._dispatcher.drawn():
            self._hand_over(batch)

    def _needed(self) -> bool:
        if self._closed or self._dispatcher.pending:
            return True
        draws = self._dispatcher.room() > 0
        return any(queue.encode_jobs or (draws and queue.render_jobs) for queue in self._queues)

    def _remove(self, queue: SessionQueue) -> None:
        with self._changed:
            if queue in self._queues:
                self._queues.remove(queue)
            queue.render_jobs.clear()
            queue.encode_jobs.clear()

    def _next_frames(self) -> list[tuple[SessionQueue, RenderJob]]:
        """Take the next frames that can be ready in time, as many as may be begun."""
        ready_at = self._dispatcher.ready_ms(self.clock.now_ms(), self._cost.ms)
        heads: list[tuple[int, int]] = []
        for n, queue in enumerate(self._queues):
            if queue.render_jobs and self._drop_stale(queue, ready_at):
                heads.append((queue.render_jobs[0].due - queue.priority_ms, n))
        heapq.heapify(heads)
        taken: list[tuple[SessionQueue, RenderJob]] = []
        room = self._dispatcher.room()
        while heads and len(taken) < room:
            _, n = heapq.heappop(heads)
            queue = self._queues[n]
            # One queue after the other would be as right, but most often it goes on with the same.
            until = heads[0][0] + queue.priority_ms if heads else math.inf
            while True:
                taken.append((queue, queue.render_jobs.popleft()))
                if not queue.render_jobs or not self._drop_stale(queue, ready_at):
                    break
                due = queue.render_jobs[0].due
                if due > until or len(taken) >= room:
                    heapq.heappush(heads, (due - queue.priority_ms, n))
                    break
        self._in_hand += taken
        return taken

    def _drop_stale(self, queue: SessionQueue, ready_at: float) -> bool:
        """Drop first frames that are cancelled or too late; False if none is left."""
        render_jobs = queue.render_jobs
        while render_jobs:
            first = render_jobs[0]
            if not first.cancelled:
                if first.due >= ready_at:
                    return True
                self.counts.dropped += 1
                self._lost(queue)
                self._cost.decay()
            render_jobs.popleft()
            first.done = True
        return False

    def _lost(self, queue: SessionQueue) -> None:
        """A frame of `queue` was not drawn in time."""
        boost(queue, self._queues)
        self._reserve.grow(self.clock.now_ms())

    def _encode(self, jobs: list[tuple[SessionQueue, EncodeJob]]) -> None:
        """Encode some pieces of speech; the speech encoder gets all of their segments in one go."""
        pieces = []
        for queue, job in jobs:
            try:
                sound, segments = job.encoder.encode(job.samples, job.last)
            except Exception as error:  # whatever a backend raises concerns this utterance alone
                self._fail(queue, job, error)
            else:
                pieces.append((queue, job, sound, segments))
        results = iter(self._conditionings([one for *_, segments in pieces for one in segments]))
        for queue, job, sound, segments in pieces:
            rows: list[Floats] = []
            errors: list[Exception] = []
            for result in [next(results) for _ in segments]:
                errors.append(result) if isinstance(result, Exception) else rows.extend(result)
            if errors:
                self._fail(queue, job, errors[0])
                continue
            job.result = EncodeResult(sound, tuple(rows))
            self.counts.encoded += 1
            job.finish()

    def _conditionings(self, segments: list[Segment]) -> list[Floats | Exception]:
        """The conditionings of each segment, or why there are none."""
        if not segments:
            return []
        encode = self.engine.backend.encoder.encode
        return each([segment.context for segment in segments], encode)

    def _hand_over(self, batch: RenderedBatch) -> None:
        """Give the pictures of a batch to the owners of its frames."""
        self._in_hand += batch.frames
        speaks = any(job.request.conditioning is not None for _, job in batch.frames)
        self._cost.learn(batch.cost_ms, speaks)
        self.counts.batches += 1
        drawn = 0
        for (queue, job), picture in zip(batch.frames, batch.pictures, strict=True):
            if isinstance(picture, Exception):
                self._fail(queue, job, picture)
                continue
            job.picture = picture
            job.finish()
            if not job.cancelled:
                drawn += 1
                if queue.priority_ms:
                    queue.decay()
            elif job.due <= batch.done_ms:
                self.counts.late += 1
                self._lost(queue)
        self.counts.drawn += drawn
        self._reserve.shrink(drawn)
        if self._watch is not None:
            self._watch(batch)

    def _fail(self, queue: SessionQueue, job: RenderJob | EncodeJob, error: Exception) -> None:
        self.counts.failed += 1
        if not queue.error_logged:
            queue.error_logged = True
            _log.error("a live session's work failed: %s", error, exc_info=error)
        job.finish(error)
