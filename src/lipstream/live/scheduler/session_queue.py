"""The work that one session has given to the scheduler, in the order of its deadlines."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Sequence

from lipstream.live.scheduler.jobs import EncodeJob, RenderJob

PRIORITY_STEP_MS, MAX_PRIORITY_MS = 40, 400


class SessionQueue:
    """One session's place in the scheduler: two queues, each in the order of its deadlines.

    Bounded by its owner, who plans only a few frames ahead of their time. See `Scheduler.open`.
    """

    def __init__(
        self, changed: threading.Condition, remove: Callable[[SessionQueue], None]
    ) -> None:
        self.encode_jobs: deque[EncodeJob] = deque()  # guarded by the scheduler's condition
        self.render_jobs: deque[RenderJob] = deque()  # likewise
        self.priority_ms = 0  # by which frames go ahead of their deadline; see `boost`
        self.error_logged = False
        self._changed = changed
        self._remove = remove

    def draw(self, render_jobs: Sequence[RenderJob]) -> None:
        """Add frames; none is due before those added earlier that are not cancelled."""
        with self._changed:
            self.render_jobs.extend(render_jobs)
            self._changed.notify()

    def encode(self, job: EncodeJob) -> None:
        """Add a piece of speech."""
        with self._changed:
            self.encode_jobs.append(job)
            self._changed.notify()

    def close(self) -> None:
        """Drop all work of this queue. May be called twice."""
        self._remove(self)

    def decay(self) -> None:
        """A frame of this queue came in time: its next ones need less priority."""
        self.priority_ms = max(self.priority_ms - PRIORITY_STEP_MS, 0)


def boost(queue: SessionQueue, queues: Sequence[SessionQueue]) -> None:
    """A frame of this queue was lost: its next ones go before those of others."""
    if queue.priority_ms < MAX_PRIORITY_MS:
        queue.priority_ms += PRIORITY_STEP_MS
        return
    # In heavy overload all come to the limit, and still one must go before the others.
    for other in queues:
        if other is not queue:
            other.decay()


def next_encode_jobs(
    queues: Sequence[SessionQueue], limit: int
) -> list[tuple[SessionQueue, EncodeJob]]:
    """Take at most `limit` pieces of speech, earliest due first; each queue's in their order."""
    heads = [(queue.encode_jobs[0].due, n) for n, queue in enumerate(queues) if queue.encode_jobs]
    heapq.heapify(heads)
    taken: list[tuple[SessionQueue, EncodeJob]] = []
    while heads and len(taken) < limit:
        _, n = heads[0]
        queue = queues[n]
        job = queue.encode_jobs.popleft()
        if not job.cancelled:
            taken.append((queue, job))
        if queue.encode_jobs:
            heapq.heapreplace(heads, (queue.encode_jobs[0].due, n))
        else:
            heapq.heappop(heads)
    return taken
