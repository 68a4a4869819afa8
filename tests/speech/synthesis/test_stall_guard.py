"""Deadlines by a clock that is moved by hand."""

from __future__ import annotations

import asyncio

import pytest

from lipstream.errors import SynthesisError
from lipstream.live.clock import ManualClock
from lipstream.speech.synthesis.stall_guard import StallGuard

RATE = 48_000  # bytes of a second


async def after(clock: ManualClock, ms: int) -> None:
    clock.advance(ms)


async def receive(sizes: list[int], ms: int, pause: int = 0) -> None:
    clock = ManualClock()
    guard = StallGuard(clock, RATE, "the provider")
    for size in sizes:
        await guard.wait(after(clock, ms))
        guard.received(size)
        clock.advance(pause)


def test_a_dribble_ends() -> None:
    with pytest.raises(SynthesisError, match="less than an eighth of the speed"):
        asyncio.run(receive([RATE] + [RATE // 10] * 60, 1000))


def test_slow_but_steady_goes_on() -> None:
    asyncio.run(receive([RATE // 7] * 100, 1000))


def test_time_in_which_nobody_waits_is_free() -> None:
    asyncio.run(receive([RATE] * 10, 100, pause=60_000))


def test_what_is_late_is_cancelled() -> None:
    async def run() -> None:
        clock, cancelled = ManualClock(), asyncio.Event()
        guard = StallGuard(clock, RATE, "the provider")

        async def hang() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        waiting = asyncio.ensure_future(guard.wait(hang()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        clock.advance(20_000)
        with pytest.raises(SynthesisError, match="sent nothing for 20 seconds"):
            await waiting
        assert cancelled.is_set()

    asyncio.run(run())
