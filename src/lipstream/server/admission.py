"""The number of sessions that this machine can hold, from measured costs.

A session costs what drawing, encoding and sending one frame of its avatar costs, 25 times a second.
Three things can be full: the workers that draw, the one event loop, and the processor. For example,
a frame that takes 4 ms to draw, 2 ms to encode and 1 ms to send takes 0.1 + 0.05 + 0.025 of a core.
Of 0.75 * 8 cores that leaves room for 34 sessions, of a worker's 0.85 for 8, of the loop's for 34:
8 are admitted with one worker, 34 with five.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace

FPS = 25
DRAWING = 0.85  # share of the time of each drawing worker that is given away
LOOP = 0.85  # of the event loop's
PROCESSOR = 0.75  # of all cores'; fuller, threads wait for each other longer than frames may
OVERLOADED = 0.02  # share of late frames at which no more sessions are admitted
RELIEVED = 0.005  # and below which they are again
WINDOW_MS = 5_000  # over which the share is taken
CALM_MS = 10_000  # for which it must stay low
MIN_WINDOW_UNITS = 25  # units in a window; fewer say nothing
LAG_EVERY_S = 0.1  # between two samples of the loop's lag
LAG_DECAY = 0.02  # weight of a sample: the mean follows within 5 s
MAX_LAG_SAMPLE_MS = 250.0  # a single stall counts for no more
HARMLESS_LAG_MS = 5.0  # viewers' jitter buffers absorb it
# The encoding of a picture for a push, as a multiple of that for a viewer, for which speed counts
# most; a recording takes less: benchmarks/cpu/output_cost.py.
OUTPUT_ENCODING = 2.2


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of one frame of an avatar, each on one core."""

    drawing: float
    encoding: float  # and all else that the server's other threads do for it
    sending: float  # of the event loop

    def with_outputs(self, *, recorded: bool = False, pushed: bool = False) -> Cost:
        """The cost where each frame is also kept in a file, or sent to a server of streams: that
        takes the event loop at most what a viewer does."""
        outputs = recorded + pushed
        encoding = self.encoding * (1 + OUTPUT_ENCODING * outputs)
        return replace(self, encoding=encoding, sending=self.sending * (1 + pushed))

    def cheapest(self, other: Cost) -> Cost:
        """The lower of two measurements: other work on the machine only ever adds to one."""
        return Cost(*map(min, astuple(self), astuple(other)))


class LoopLag:
    """The lag of the event loop when it wakes sleepers: an exponentially decaying mean."""

    def __init__(self) -> None:
        self.ms = 0.0

    def observe(self, late_ms: float) -> None:
        """One timer came `late_ms` after it was due."""
        sample = min(max(late_ms, 0.0), MAX_LAG_SAMPLE_MS)
        self.ms += LAG_DECAY * (sample - self.ms)

    @property
    def factor(self) -> float:
        """By how much sending costs more than was measured: 1 while the lag is harmless."""
        return max(1.0, self.ms / HARMLESS_LAG_MS)

    async def watch(self) -> None:
        """Sample the running loop until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self.observe(1000 * (loop.time() - due))


class Capacity:
    """Decides whether one more session fits. Sessions are counted by the manager alone."""

    def __init__(
        self,
        cap: int | None = None,
        cores: int | None = None,
        parallelism: int = 1,
        recorded: bool = False,
    ) -> None:
        """`cap` lowers what was measured; `parallelism` frames are drawn side by side; sessions are
        usually `recorded`, or not."""
        self._cap = math.inf if cap is None else cap
        self._cores = cores or usable_cores()
        self._parallelism, self._recorded = parallelism, recorded
        self._costs: dict[str, Cost] = {}  # of each avatar
        self.lag = LoopLag()
        self.overload = Overload()

    def learn(self, avatar_id: str, cost: Cost) -> None:
        """The avatar was measured, for the first time or again."""
        self._costs[avatar_id] = cost.with_outputs(recorded=self._recorded)

    def forget(self, avatar_id: str) -> None:
        """No new session will show the avatar. Does nothing for an unknown one."""
        self._costs.pop(avatar_id, None)

    @property
    def sessions(self) -> int:
        """Sessions of the dearest avatar that fit; 1 before any is measured."""
        use = max((self._use([cost]) for cost in self._costs.values()), default=1.0)
        return int(min(max(1, math.floor(1 / max(use, 1e-6) + 1e-9)), self._cap))

    def free(self, present: Iterable[Cost]) -> int:
        """Sessions of the dearest avatar that fit beside those present; of others more may."""
        costs = list(present)
        if not costs:
            return self.sessions
        if self.overload.raised:
            return 0
        taken = self._uses(costs)
        rooms = [
            (1 - share) / max(more, 1e-6)
            for cost in self._costs.values()
            for share, more in zip(taken, self._uses([cost]), strict=True)
        ]
        room = math.floor(min(rooms, default=0.0) + 1e-9)
        return int(max(0, min(room, self._cap - len(costs))))

    def admits(self, present: Iterable[Cost], newcomer: Cost, replaced: Cost | None = None) -> bool:
        """True if `newcomer` fits beside those present. The first one always does, and so does one
        that needs no more than the session whose place it takes, which is not among them."""
        others = list(present)
        costs = [*others, newcomer]
        if len(costs) > self._cap:
            return False
        if len(costs) == 1:
            return True
        if replaced is not None and self._use(costs) <= self._use([*others, replaced]):
            return True
        return not self.overload.raised and self._use(costs) <= 1 + 1e-9

    def _use(self, costs: list[Cost]) -> float:
        """The use of whatever is fullest; 1 is all that is given away."""
        return max(self._uses(costs))

    def _uses(self, costs: list[Cost]) -> tuple[float, float, float]:
        """The use of what draws, of the event loop, and of the processor."""
        drawing = sum(cost.drawing for cost in costs) * FPS / 1000
        encoding = sum(cost.encoding for cost in costs) * FPS / 1000
        sending = sum(cost.sending for cost in costs) * self.lag.factor * FPS / 1000
        return (
            drawing / (DRAWING * self._parallelism),
            sending / LOOP,
            (drawing + encoding + sending) / (PROCESSOR * self._cores),
        )


class Overload:
    """Raised when frames come late, lowered only after a calm while: no flapping at the limit."""

    def __init__(self) -> None:
        self.raised = False
        self.share = 0.0  # of frames that came late in the last window
        self._window: tuple[int, int, int] | None = None  # (ms, units, late) at its start
        self._calm_since: int | None = None

    def observe(self, now_ms: int, units: int, late: int) -> None:
        """Totals so far over all sessions; neither goes back."""
        if self._window is None:
            self._window = (now_ms, units, late)
        since, units_before, late_before = self._window
        if now_ms - since < WINDOW_MS:
            return
        self._window = (now_ms, units, late)
        seen = units - units_before
        share = (late - late_before) / seen if seen >= MIN_WINDOW_UNITS else 0.0
        self.share = share
        if share > OVERLOADED:
            self.raised, self._calm_since = True, None
        elif share > RELIEVED:
            self._calm_since = None
        elif self.raised:
            self._calm_since = since if self._calm_since is None else self._calm_since
            if now_ms - self._calm_since >= CALM_MS:
                self.raised, self._calm_since = False, None


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
