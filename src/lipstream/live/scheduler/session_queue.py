"""The work that one session has given to the batcher, in the order of its deadlines."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lipstream.rendering.base import FrameRequest

if TYPE_CHECKING:
    from lipstream.live.scheduler.jobs import Heard, Hearing
    from lipstream.media.image import Floats, Picture

CREDIT_STEP_MS, MOST_CREDIT_MS = 40, 400


class Drawing:
    """One frame to draw. The batcher writes the result here; whoever asked looks when it is due.

    Not `wanted` any more, it is dropped before it costs anything. `done` without a picture: it was
    dropped, or `error` says why it failed.
    """

    __slots__ = ("done", "due", "error", "picture", "request", "wake", "wanted")

    def __init__(self, request: FrameRequest, due: int) -> None:
        self.request = request
        self.due = due  # when it shall be seen, ms of the batcher's clock; later it is worthless
        self.wanted = True
        self.done = False
        self.picture: Picture | None = None
        self.wake: Callable[[], None] | None = None  # called on the batcher's thread when done
        self.error: Exception | None = None


class Listening:
    """A piece of an utterance to hear; the pieces of one `hearing` are heard in their order.

    Never dropped for being late: what was said before is needed to hear what comes after.
    """

    __slots__ = ("done", "due", "error", "heard", "hearing", "last", "samples", "wake", "wanted")

    def __init__(
        self,
        hearing: Hearing,
        samples: Floats,
        last: bool,
        due: int,
        wake: Callable[[], None] | None = None,
    ) -> None:
        self.hearing = hearing
        self.samples = samples  # (n,) mono, n may be 0
        self.last = last  # the utterance ends with these
        self.due = due  # ms of the batcher's clock: which session is served first
        self.wake = wake  # called on the batcher's thread when it is done
        self.wanted = True
        self.done = False
        self.heard: Heard | None = None
        self.error: Exception | None = None


class Lane:
    """One session's place in the batcher: two queues, each in the order of its deadlines.

    Bounded by its owner, who asks only a few frames ahead of their time. Opened by `Batcher.open`.
    """

    def __init__(self, changed: threading.Condition, remove: Callable[[Lane], None]) -> None:
        self.listenings: deque[Listening] = deque()  # guarded by the batcher's condition
        self.drawings: deque[Drawing] = deque()  # likewise
        self.credit = 0  # ms by which drawings go ahead of their deadline; see `Batcher`
        self.complained = False  # the log has heard of an error of this lane
        self._changed = changed
        self._remove = remove

    def draw(self, drawings: Sequence[Drawing]) -> None:
        """Ask for frames; none is due before those asked for earlier and still wanted."""
        with self._changed:
            self.drawings.extend(drawings)
            self._changed.notify()

    def listen(self, listening: Listening) -> None:
        """Ask for a piece of speech to be heard."""
        with self._changed:
            self.listenings.append(listening)
            self._changed.notify()

    def close(self) -> None:
        """Forget all work of this lane. May be called twice."""
        self._remove(self)

    def settle(self) -> None:
        """A frame of this lane came in time."""
        self.credit = max(self.credit - CREDIT_STEP_MS, 0)


def favour(lane: Lane, lanes: Sequence[Lane]) -> None:
    """A frame of this lane was lost: its next ones go before those of others."""
    if lane.credit < MOST_CREDIT_MS:
        lane.credit += CREDIT_STEP_MS
        return
    # In heavy overload all come to the limit, and still one must go before the others.
    for other in lanes:
        if other is not lane:
            other.settle()


def next_pieces(lanes: Sequence[Lane], most: int) -> list[tuple[Lane, Listening]]:
    """Take the next pieces of speech, at most so many; each lane's in their order."""
    heads = [(lane.listenings[0].due, n) for n, lane in enumerate(lanes) if lane.listenings]
    heapq.heapify(heads)
    taken: list[tuple[Lane, Listening]] = []
    while heads and len(taken) < most:
        _, n = heads[0]
        lane = lanes[n]
        piece = lane.listenings.popleft()
        if piece.wanted:
            taken.append((lane, piece))
        if lane.listenings:
            heapq.heapreplace(heads, (lane.listenings[0].due, n))
        else:
            heapq.heappop(heads)
    return taken
