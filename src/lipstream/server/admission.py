"""How many sessions this machine can hold, by measurement and not by hope.

A session costs what drawing, encoding and sending one frame of its avatar costs, 25 times a second.
Three things can be full: what draws, the one event loop, and the processor.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

FPS = 25
DRAWING = 0.85  # share of the time of each lane that draws that is given away
LOOP = 0.85  # of the event loop's
PROCESSOR = 0.85  # of all cores'
SENDING_MS = 2.8  # per frame and session: packets, encryption, sound; research: 7 % of a core
OVERLOADED = 0.02  # share of late frames at which nobody else is let in
RELIEVED = 0.005  # and below which they are again
WINDOW_MS = 5_000  # over which the share is taken
CALM_MS = 10_000  # for which it must stay low
MIN_WINDOW_UNITS = 25  # units in a window; fewer say nothing


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of one frame of an avatar, each on one core."""

    drawing: float
    encoding: float


class Capacity:
    """Whether one more fits. Costs are told by the manager, so nothing is counted twice."""

    def __init__(
        self, cap: int | None = None, cores: int | None = None, parallelism: int = 1
    ) -> None:
        """`parallelism`: frames that are drawn side by side."""
        self._cap = cap
        self._lanes = parallelism
        self._cores = cores or usable_cores()
        self._typical: Cost | None = None
        self.overload = Overload()

    def learn(self, cost: Cost) -> None:
        """An avatar was measured. The dearest one stands for all where there is none yet."""
        if self._typical is None or cost.drawing > self._typical.drawing:
            self._typical = cost

    @property
    def sessions(self) -> int:
        """Sessions of the dearest avatar that fit; 1 before anything is measured."""
        if self._typical is None:
            return min(1, self._cap) if self._cap is not None else 1
        count = 0
        while self._fit([self._typical] * (count + 1)) and count < 1000:
            count += 1
        return self._capped(max(count, 1))

    def admits(self, present: Iterable[Cost], newcomer: Cost) -> bool:
        """Whether `newcomer` fits beside those present. The first one always does."""
        costs = [*present, newcomer]
        if self._cap is not None and len(costs) > self._cap:
            return False
        if len(costs) == 1:
            return True
        return not self.overload.raised and self._fit(costs)

    def _fit(self, costs: list[Cost]) -> bool:
        drawing = sum(cost.drawing for cost in costs) * FPS / 1000
        encoding = sum(cost.encoding for cost in costs) * FPS / 1000
        sending = len(costs) * SENDING_MS * FPS / 1000
        return (
            drawing <= DRAWING * self._lanes
            and sending <= LOOP
            and drawing + encoding + sending <= PROCESSOR * self._cores
        )

    def _capped(self, count: int) -> int:
        return count if self._cap is None else min(count, self._cap)


class Overload:
    """Raised when frames come late, lowered only after a calm while: no flapping at the limit."""

    def __init__(self) -> None:
        self.raised = False
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
