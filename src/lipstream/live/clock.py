"""Clocks: the machine's, and one that is moved by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Protocol


class Clock(Protocol):
    """A source of time; tests move one by hand."""

    def now_ms(self) -> int:
        """Whole milliseconds since some fixed moment; never goes back."""
        ...

    async def sleep_until(self, moment_ms: int) -> None:
        """Return when `now_ms` has reached `moment_ms`, at once when it has passed."""
        ...


class MonotonicClock:
    """The machine's own clock that only goes forward."""

    def now_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def sleep_until(self, moment_ms: int) -> None:
        """Sleep to the deadline, never for a duration: errors must not add up."""
        # One more millisecond: a loop may wake just before its deadline.
        if (left := moment_ms - self.now_ms()) > 0:
            await asyncio.sleep((left + 1) / 1000)


class ManualClock:
    """Stands still until it is moved by hand; then wakes its sleepers in the order of their times.

    For tests and simulations in one event loop; `now_ms` may be read from any thread.
    """

    def __init__(self, now_ms: int = 0) -> None:
        self._now = now_ms
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._number = itertools.count()  # wakes those of one moment in the order of their calls

    def now_ms(self) -> int:
        return self._now

    def advance(self, ms: int) -> None:
        """Move forward by `ms`. Sleepers run when the caller next gives way to the loop."""
        self._now += ms
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, sleeper = heapq.heappop(self._sleepers)
            if not sleeper.done():
                sleeper.set_result(None)

    async def sleep_until(self, moment_ms: int) -> None:
        if moment_ms <= self._now:
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (moment_ms, next(self._number), sleeper))
        await sleeper
