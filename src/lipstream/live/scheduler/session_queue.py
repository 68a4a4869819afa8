"""The work that one session has given to the scheduler, in the order of its deadlines."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lipstream.rendering.base import FrameRequest

if TYPE_CHECKING:
    from lipstream.live.scheduler.jobs import EncodeResult, UtteranceEncoder
    from lipstream.media.image import Floats, Picture

CREDIT_STEP_MS, MAX_CREDIT_MS = 40, 400


class RenderJob:
    """One frame to draw. The scheduler writes the result here; whoever asked looks when it is due.

    Cancelled, it is dropped before it costs anything. `done` without a picture: it was
    dropped, or `error` says why it failed.
    """

    __slots__ = ("done", "due", "error", "picture", "request", "wake", "cancelled")

    def __init__(self, request: FrameRequest, due: int) -> None:
        self.request = request
        self.due = due  # when it shall be seen, ms of the scheduler's clock; later it is worthless
        self.cancelled = False
        self.done = False
        self.picture: Picture | None = None
        self.wake: Callable[[], None] | None = None  # called on the scheduler's thread when done
        self.error: Exception | None = None


class EncodeJob:
    """A piece of an utterance to hear; the pieces of one `hearing` are heard in their order.

    Never dropped for being late: what was said before is needed to hear what comes after.
    """

    __slots__ = ("done", "due", "error", "heard", "hearing", "last", "samples", "wake", "cancelled")

    def __init__(
        self,
        hearing: UtteranceEncoder,
        samples: Floats,
        last: bool,
        due: int,
        wake: Callable[[], None] | None = None,
    ) -> None:
        self.hearing = hearing
        self.samples = samples  # (n,) mono, n may be 0
        self.last = last  # the utterance ends with these
        self.due = due  # ms of the scheduler's clock: which session is served first
        self.wake = wake  # called on the scheduler's thread when it is done
        self.cancelled = False
        self.done = False
        self.heard: EncodeResult | None = None
        self.error: Exception | None = None


class SessionQueue:
    """One session's place in the scheduler: two queues, each in the order of its deadlines.

    Bounded by its owner, who asks only a few frames ahead of their time. See `Scheduler.open`.
    """

    def __init__(
        self, changed: threading.Condition, remove: Callable[[SessionQueue], None]
    ) -> None:
        self.encode_jobs: deque[EncodeJob] = deque()  # guarded by the scheduler's condition
        self.render_jobs: deque[RenderJob] = deque()  # likewise
        self.credit = 0  # ms by which render_jobs go ahead of their deadline; see `Scheduler`
        self.complained = False  # the log has heard of an error of this queue
        self._changed = changed
        self._remove = remove

    def draw(self, render_jobs: Sequence[RenderJob]) -> None:
        """Ask for frames; none is due before those asked for earlier and still wanted."""
        with self._changed:
            self.render_jobs.extend(render_jobs)
            self._changed.notify()

    def listen(self, job: EncodeJob) -> None:
        """Ask for a piece of speech to be heard."""
        with self._changed:
            self.encode_jobs.append(job)
            self._changed.notify()

    def close(self) -> None:
        """Forget all work of this queue. May be called twice."""
        self._remove(self)

    def settle(self) -> None:
        """A frame of this queue came in time."""
        self.credit = max(self.credit - CREDIT_STEP_MS, 0)


def boost(queue: SessionQueue, queues: Sequence[SessionQueue]) -> None:
    """A frame of this queue was lost: its next ones go before those of others."""
    if queue.credit < MAX_CREDIT_MS:
        queue.credit += CREDIT_STEP_MS
        return
    # In heavy overload all come to the limit, and still one must go before the others.
    for other in queues:
        if other is not queue:
            other.settle()


def next_pieces(queues: Sequence[SessionQueue], most: int) -> list[tuple[SessionQueue, EncodeJob]]:
    """Take the next pieces of speech, at most so many; each queue's in their order."""
    heads = [(queue.encode_jobs[0].due, n) for n, queue in enumerate(queues) if queue.encode_jobs]
    heapq.heapify(heads)
    taken: list[tuple[SessionQueue, EncodeJob]] = []
    while heads and len(taken) < most:
        _, n = heads[0]
        queue = queues[n]
        piece = queue.encode_jobs.popleft()
        if not piece.cancelled:
            taken.append((queue, piece))
        if queue.encode_jobs:
            heapq.heapreplace(heads, (queue.encode_jobs[0].due, n))
        else:
            heapq.heappop(heads)
    return taken
