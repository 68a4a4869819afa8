"""Processes that die are started again, those that hang are killed, and none is left behind."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence

from lipstream.cluster.local_workers import LocalWorkers

WORKER = """
import signal, sys, time
print("lipstream is at http://127.0.0.1:1 (fake: a test)", flush=True)
sys.stdin.read()  # to the end of whoever started it
"""
BROKEN = "import sys; sys.exit(1)"


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 (processes set no event)
        await asyncio.sleep(0.01)


def run(
    test: Callable[[LocalWorkers, list[str]], Awaitable[None]], count: int, script: str = WORKER
) -> None:
    started: list[str] = []

    def command(place: int, worker: str) -> Sequence[str]:
        started.append(worker)
        return [sys.executable, "-S", "-c", script]

    async def bounded() -> None:
        workers = LocalWorkers(count, command, lambda: None)
        try:
            await asyncio.wait_for(test(workers, started), 20)
        finally:
            await workers.close()
        assert workers.alive == 0

    asyncio.run(bounded())


def test_a_worker_that_dies_or_hangs_has_a_successor() -> None:
    async def test(workers: LocalWorkers, started: list[str]) -> None:
        assert await workers.start()
        await until(lambda: workers.alive == 2)
        await workers.hung("w1")
        await until(lambda: "w1r1" in started)
        while set(await workers.workers()) != {"w1r1", "w2"}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    run(test, 2)


def test_they_end_when_asked_and_none_comes_after_them() -> None:
    async def test(workers: LocalWorkers, started: list[str]) -> None:
        assert await workers.start()
        await until(lambda: workers.alive == 2)
        workers.stop()
        await until(lambda: workers.alive == 0)
        assert started == ["w1", "w2"]

    run(test, 2)


def test_they_are_waited_for_while_they_drain_but_not_for_ever() -> None:
    async def test(workers: LocalWorkers, started: list[str]) -> None:
        assert await workers.start()
        await workers.drain(0.0)
        assert workers.alive == 1
        await workers.drain(20)
        assert workers.alive == 0

    run(test, 1)


def test_a_first_worker_that_cannot_start_is_told_of() -> None:
    async def test(workers: LocalWorkers, started: list[str]) -> None:
        assert not await workers.start()
        assert started[0] == "w1"

    run(test, 1, BROKEN)
