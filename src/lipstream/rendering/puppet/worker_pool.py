"""Puppets drawn in worker processes.

A frame is a hundred short calls, and Python's lock is held between them. Drawn in the process that
also sends to viewers, each waits for the other.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import tempfile
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.storage import save_avatar
from lipstream.config import MotionConfig, Progress
from lipstream.media.image import Picture
from lipstream.rendering.base import FrameRequest, PixelFormat, render_in_order
from lipstream.rendering.puppet.worker_process import DrawJob, WorkerError, WorkerProcess
from lipstream.rendering.puppet.worker_protocol import DRAW_SLOTS, FRAME, MOTIONS, picture_shape

MIN_WORKERS = 2  # so that one draws while another loads an avatar
MAX_ATTEMPTS = 2  # to draw a frame whose worker fails
HANG_S = 0.7  # silence after which a worker that has a frame of a megapixel to draw is replaced
LOAD_S = 120.0  # the same when it has an avatar to load
TICK_S = 0.1  # between looks at the workers' silence
CLOSE_S = 2.0  # for workers to end by themselves
SHORT_LIFE_S = 5.0  # workers that live shorter, one after the other, are replaced ever later,
MAX_BACKOFF_S = 30.0  # up to so much

_log = logging.getLogger(__name__)


def workers_supported() -> bool:
    """True where a process can be given open files."""
    return os.name == "posix"


class PuppetWorkerPool:
    """A `ParallelRenderer` whose frames are drawn by `count` processes, at least two.

    A frame goes to the worker that has the least to do of those that have its avatar loaded; when
    each has `DRAW_SLOTS`, it waits here in the order of its coming. Callers keep to `slots`.

    An avatar is loaded into at most half of the workers at once while the others draw. A worker
    that dies, hangs, or answers nonsense is killed and replaced; its frames are drawn by another,
    once, or fail; its avatars are loaded into the newcomer in the background.
    """

    def __init__(
        self, fps: Fraction, motion: MotionConfig, count: int, pixel_format: PixelFormat = "rgb24"
    ) -> None:
        count = max(count, MIN_WORKERS)
        self.parallelism = count
        self.restarts = 0  # workers that were replaced
        self._i420 = pixel_format == "i420"
        settings = {"fps": str(fps), "pixel_format": pixel_format, **asdict(motion)}
        self._settings = json.dumps(settings)
        self._lock = threading.Lock()  # guards all below; never held while anything is waited for
        self._loads = threading.Lock()  # held while an avatar is loaded; never needed for drawing
        self._numbers: weakref.WeakKeyDictionary[Avatar, int] = weakref.WeakKeyDictionary()
        self._next = 1
        self._dropped: deque[int] = deque()  # numbers of avatars that nobody holds any more
        self._waiting: deque[DrawJob] = deque()
        self._closed = threading.Event()
        self._starters: list[threading.Thread] = []  # of workers that are replaced
        self._selector = selectors.DefaultSelector()
        self._workers = [WorkerProcess(self._settings) for _ in range(count)]
        for worker in self._workers:
            self._selector.register(worker, selectors.EVENT_READ, worker)
        self._reader = threading.Thread(target=self._read, name="puppet-workers", daemon=True)
        self._reader.start()

    @property
    def slots(self) -> int:
        """Frames that may be in flight so that every worker has its next one at hand."""
        return DRAW_SLOTS * self.parallelism

    @property
    def fault(self) -> str | None:
        """One sentence when nothing can be drawn at present."""
        if self._closed.is_set():
            return None
        if not self._reader.is_alive():
            return "the thread that reads from the drawing processes has ended; restart the server."
        if any(worker.alive for worker in self._workers):
            return None
        return "no drawing process is running; they are started again."

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        """Let every worker load and measure `avatar`; FaceError and the like as any renderer."""
        with self._loads:
            with self._lock:
                if avatar in self._numbers:
                    return avatar
                number, self._next = self._next, self._next + 1
                workers = [worker for worker in self._workers if worker.alive]
                # The first avatar keeps nobody waiting.
                at_once = max(len(workers) // 2, 1) if self._numbers else len(workers)
            with _saved(avatar) as path:
                loaded = 0
                for start in range(0, len(workers), at_once):
                    loaded += self._load(workers[start : start + at_once], number, path)
            if not loaded:
                raise WorkerError("the drawing processes died while they loaded this avatar.")
            with self._lock:
                self._numbers[avatar] = number
            weakref.finalize(avatar, self._dropped.append, number)
        return avatar

    def submit(self, request: FrameRequest) -> Future[Picture]:
        """Begin one frame; `prepare` must have been called for its avatar."""
        result: Future[Picture] = Future()
        result.set_running_or_notify_cancel()
        conditioning = request.conditioning
        tail = b"" if conditioning is None else np.asarray(conditioning, np.float32).tobytes()
        with self._lock:
            number = self._numbers.get(request.avatar)
            if number is not None and not self._closed.is_set():
                shape = picture_shape(request.avatar, self._i420)
                motion = MOTIONS.index(request.motion)
                content = FRAME.pack(request.index, request.blend_weight, motion) + tail
                self._waiting.append(DrawJob(number, shape, content, result))
                failed = self._dispatch()
            else:
                failed = [result]
        for one in failed:
            one.set_exception(
                WorkerError("no drawing process is running.")
                if number is not None
                else RuntimeError("the avatar is not prepared; call prepare(avatar) first.")
            )
        return result

    def render(self, requests: Sequence[FrameRequest]) -> list[Picture]:
        """One picture per request; prepares avatars that are not."""
        for request in requests:
            if request.avatar not in self._numbers:
                self.prepare(request.avatar)
        return [picture for _, picture in render_in_order(self, requests)]

    def close(self) -> None:
        """End the processes within seconds; frames in flight fail. May be called twice."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._reader.join(CLOSE_S)
        with self._lock:
            workers = [worker for worker in self._workers if worker.alive]
            unanswered = [job for worker in workers for job in worker.stop()]
            results = [job.result if isinstance(job, DrawJob) else job for job in unanswered]
            results += [job.result for job in self._waiting]
            self._waiting.clear()
        for result in results:
            result.set_exception(WorkerError("the drawing processes were closed."))
        until = time.monotonic() + CLOSE_S
        for worker in workers:
            worker.reap(max(until - time.monotonic(), 0.0))
        for starter in self._starters:
            starter.join(CLOSE_S)
        self._selector.close()

    def _dispatch(self) -> list[Future[Picture]]:
        """Give waiting frames to workers, under the lock; gives those that none can draw."""
        while self._dropped:
            number = self._dropped.popleft()
            for worker in self._workers:
                if worker.alive:
                    worker.forget(number)
        failed: list[Future[Picture]] = []
        while self._waiting:
            job = self._waiting[0]
            able = [worker for worker in self._workers if worker.can_draw(job.avatar)]
            if able:
                min(able, key=lambda worker: worker.in_flight).draw(job)
            elif any(worker.alive and job.avatar in worker.loaded for worker in self._workers):
                break
            else:
                failed.append(job.result)
            self._waiting.popleft()
        return failed

    def _load(self, workers: Sequence[WorkerProcess], number: int, path: Path) -> int:
        """Load an avatar into some workers side by side; how many have it.

        Raises what a worker raised; one that dies only has not got it.
        """
        with self._lock:
            results = [worker.load(number, str(path)) for worker in workers]
        errors = [error for result in results if (error := result.exception()) is not None]
        for error in errors:
            if not isinstance(error, WorkerError):
                self._dropped.append(number)
                raise error
        return len(results) - len(errors)

    def _read(self) -> None:
        """Take answers and replace workers, in a thread of its own, until `close`."""
        looked = time.monotonic()
        while not self._closed.is_set():
            for key, _ in self._selector.select(TICK_S):
                self._take_answers(key.data)
            now = time.monotonic()
            if now - looked >= TICK_S:
                # Time in which this process itself did not run is no worker's silence.
                self._check_silence(min(now - looked, 2 * TICK_S))
                looked = now

    def _take_answers(self, worker: WorkerProcess) -> None:
        try:
            with self._lock:
                answers = worker.read()
                failed = self._dispatch()
        except Exception as error:  # whatever a worker sends must not end the pool
            self._replace(worker, str(error))
            return
        for job, answer in answers:
            result: Future[Picture] | Future[int] = job.result if isinstance(job, DrawJob) else job
            if isinstance(answer, Exception):
                result.set_exception(answer)
            else:
                result.set_result(answer)  # type: ignore[arg-type]
        for one in failed:
            one.set_exception(WorkerError("no drawing process is running."))

    def _check_silence(self, passed_s: float) -> None:
        for worker in [worker for worker in self._workers if worker.alive]:
            with self._lock:
                head = worker.head
                if head is None:
                    worker.silence.end()
                else:
                    worker.silence.go_on(passed_s)
            if isinstance(head, DrawJob):
                limit = HANG_S * max(np.prod(head.shape) / 3e6, 1.0)
            else:
                limit = LOAD_S
            if worker.silence.seconds > limit:
                worker.process.kill()
                silent_s = worker.silence.seconds
                self._replace(worker, f"a drawing process was silent for {silent_s:.1f} s.")

    def _replace(self, dead: WorkerProcess, reason: str) -> None:
        """Draw its frames elsewhere, and start another in its place, in the background."""
        with self._lock:
            self._selector.unregister(dead)
            self.restarts += 1
            failed: list[Future[Picture] | Future[int]] = []
            for job in reversed(dead.stop()):
                if not isinstance(job, DrawJob):
                    failed.append(job)
                elif job.attempts >= MAX_ATTEMPTS:
                    failed.append(job.result)
                else:
                    self._waiting.appendleft(job)
            failed += self._dispatch()
        for result in failed:
            result.set_exception(WorkerError(reason))
        starter = threading.Thread(
            target=self._start_again, args=(dead, reason), name="puppet-worker-start", daemon=True
        )
        self._starters = [one for one in self._starters if one.is_alive()] + [starter]
        starter.start()

    def _start_again(self, dead: WorkerProcess, reason: str) -> None:
        """Put a newcomer in the place of `dead`, and load all avatars into it."""
        _log.error("%s It is started again. %s", reason, dead.reap(0.2))
        short_lives = dead.short_lives + 1 if dead.age_s < SHORT_LIFE_S else 0
        worker = None
        while worker is None:
            if self._closed.wait(min(2.0 ** max(short_lives - 1, 0) - 1, MAX_BACKOFF_S)):
                return
            try:
                worker = WorkerProcess(self._settings, short_lives)
            except OSError as error:  # no memory or no descriptor left; there may be some soon
                _log.error("a drawing process could not be started: %s", error)
                short_lives += 1
        with self._lock:
            if self._closed.is_set():
                worker.stop()
            else:
                self._workers[self._workers.index(dead)] = worker
                self._selector.register(worker, selectors.EVENT_READ, worker)
        if not worker.alive:
            worker.reap(CLOSE_S)
            return
        with self._loads:
            for avatar, number in list(self._numbers.items()):
                if number in worker.loaded:
                    continue
                try:
                    with _saved(avatar) as path:
                        self._load([worker], number, path)
                except Exception as error:  # the other workers have this avatar
                    _log.error("an avatar could not be loaded again: %s", error)


@contextlib.contextmanager
def _saved(avatar: Avatar) -> Iterator[Path]:
    """The avatar as a file, which is how workers get it: nothing is unpickled anywhere."""
    with tempfile.TemporaryDirectory(prefix="lipstream-") as place:
        path = Path(place) / "worker.avatar"
        save_avatar(avatar, path)
        yield path
