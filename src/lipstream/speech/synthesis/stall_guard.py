"""Deadlines of an answer that comes bit by bit: it may neither stall nor dribble."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from lipstream.errors import SynthesisError
from lipstream.live.clock import Clock

MAX_FIRST_WAIT_MS = 20_000  # from the request to its first sound
MAX_WAIT_MS = 10_000  # between two parts of it
DRIBBLE_MS = 20_000  # of waiting, after which the speed is judged
MIN_SPEED = 8  # a provider slower than an eighth of real time will not catch up

T = TypeVar("T")


class StallGuard:
    """The waits of one request. Time in which nobody waits, as speech is ahead, is free."""

    def __init__(self, clock: Clock, bytes_per_second: int, provider: str) -> None:
        self._clock, self._bytes_per_second, self._provider = clock, bytes_per_second, provider
        self._begun = False  # sound has come
        self._waited_ms = self._bytes = 0  # since the speed was judged

    async def wait(self, part: Coroutine[Any, Any, T]) -> T:
        """Await the next part. SynthesisError, and `part` is cancelled, when it takes too long."""
        limit = MAX_WAIT_MS if self._begun else MAX_FIRST_WAIT_MS
        asked = self._clock.now_ms()
        task = asyncio.create_task(part)
        timer = asyncio.create_task(self._clock.sleep_until(asked + limit))
        try:
            await asyncio.wait((task, timer), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise SynthesisError(
                    f"{self._provider} sent nothing for {limit // 1000} seconds; try again or "
                    "check the provider.",
                    "stalled",
                )
        finally:
            timer.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
        if self._begun:
            self._waited_ms += self._clock.now_ms() - asked
        return task.result()

    def received(self, size: int) -> None:
        """Count so many bytes of sound. SynthesisError when they come much too slowly."""
        self._begun = True
        self._bytes += size
        if self._waited_ms < DRIBBLE_MS:
            return
        if self._bytes * 1000 * MIN_SPEED < self._waited_ms * self._bytes_per_second:
            raise SynthesisError(
                f"{self._provider} sends speech at less than an eighth of the speed at which it "
                "is spoken; check the provider.",
                "stalled",
            )
        self._waited_ms = self._bytes = 0
