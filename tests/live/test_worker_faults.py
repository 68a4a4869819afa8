"""Three live sessions whose frames are drawn by worker processes that load, hang and die."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar
from lipstream.config import AvatarConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.session.session import Session
from lipstream.live.session.types import Unit
from lipstream.rendering.puppet.worker_pool import PuppetWorkerPool, workers_supported
from lipstream.rendering.registry import open_backend
from lipstream.timeline import UNIT_MS
from tests.timed import judge, measure_until

ROOT = Path(__file__).parents[2]
PORTRAIT, CLIP = ROOT / "examples" / "portrait.png", ROOT / "examples" / "idle.mp4"
SESSIONS = 3
MAX_GAP_MS = 120  # for which a viewer's picture may stand still

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not workers_supported(), reason="this system cannot hand open files to a process"
    ),
]


class Live:
    """Three sessions on a pool of two workers, and the units that they have given out."""

    def __init__(self, avatar: Avatar) -> None:
        runtime = RuntimeOptions(live=True, pixel_format="i420")
        self.backend = open_backend("puppet", runtime=runtime, processes=2)
        assert isinstance(self.backend.renderer, PuppetWorkerPool)
        self.pool = self.backend.renderer
        self.pool.prepare(avatar)
        self.scheduler = Scheduler(Engine(self.backend))
        self.scheduler.start()
        self.sessions = [Session(avatar, self.scheduler) for _ in range(SESSIONS)]
        self.units: list[list[Unit]] = [[] for _ in range(SESSIONS)]

    def close(self) -> None:
        self.scheduler.close()
        self.backend.close()

    async def play(self, scenario: Coroutine[Any, Any, None]) -> None:
        """Let all sessions play until the scenario is over."""
        pumps = [asyncio.create_task(self._pump(n)) for n in range(SESSIONS)]
        try:
            await asyncio.wait_for(scenario, 100)
        finally:
            for session in self.sessions:
                session.close()
            await asyncio.gather(*pumps)

    async def pictures(self, count: int) -> None:
        """Return when each session has given out `count` more units with their own picture."""
        first = [len(units) for units in self.units]

        def shown() -> bool:
            pairs = zip(self.units, first, strict=True)
            return all(sum(unit.fresh for unit in units[n:]) >= count for units, n in pairs)

        await until(shown)

    def longest_gap_ms(self, first: list[int]) -> int:
        """The longest time for which a picture stood still, from these units on."""
        return max(_longest_gap_ms(units[n:]) for units, n in zip(self.units, first, strict=True))

    async def _pump(self, n: int) -> None:
        async for unit in self.sessions[n].units():
            self.units[n].append(unit)


def _longest_gap_ms(units: list[Unit]) -> int:
    gap = longest = UNIT_MS
    for unit in units:
        gap = UNIT_MS if unit.fresh else gap + UNIT_MS
        longest = max(longest, gap)
    return longest


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return open_avatar(PORTRAIT, AvatarConfig(max_side=512))


@pytest.fixture
def live(avatar: Avatar) -> Iterator[Live]:
    opened = Live(avatar)
    yield opened
    opened.close()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for happens in a thread
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_sessions_go_on_when_a_worker_dies_or_hangs(live: Live, blow: signal.Signals) -> None:
    pool = live.pool

    async def scenario() -> None:
        await live.pictures(5)
        victim = pool._workers[0].process.pid
        os.kill(victim, blow)
        await until(lambda: pool._workers[0].process.pid != victim)
        await live.pictures(10)
        await until(lambda: bool(pool._workers[0].loaded))

    asyncio.run(live.play(scenario()))
    assert pool.restarts == 1 and live.scheduler.counts.failed == 0
    for units in live.units:
        indexes = [unit.index for unit in units]
        assert indexes == sorted(set(indexes))


def test_sessions_repeat_their_picture_while_no_worker_is_left(live: Live) -> None:
    pool = live.pool

    async def scenario() -> None:
        await live.pictures(5)
        for worker in list(pool._workers):
            os.kill(worker.process.pid, signal.SIGKILL)
        await until(lambda: pool.restarts == 2)
        await live.pictures(10)

    asyncio.run(live.play(scenario()))
    assert all(any(not unit.fresh for unit in units) for units in live.units)


@pytest.mark.alone
@pytest.mark.parametrize(("source", "seconds"), [(PORTRAIT, 30), (CLIP, 60)])
def test_pictures_move_on_while_an_avatar_is_prepared(
    avatar: Avatar, source: Path, seconds: int
) -> None:
    newcomer = open_avatar(source, AvatarConfig(max_side=512))

    def measure() -> int:
        live, gaps = Live(avatar), list[int]()

        async def scenario() -> None:
            await live.pictures(25)
            first = [len(units) for units in live.units]
            await asyncio.wait_for(asyncio.to_thread(live.pool.prepare, newcomer), seconds)
            await live.pictures(10)
            gaps.append(live.longest_gap_ms(first))

        try:
            asyncio.run(live.play(scenario()))
        finally:
            live.close()
        return gaps[0]

    measured = measure_until(measure, lambda gap_ms: gap_ms <= MAX_GAP_MS)
    judge(measured[-1].value <= MAX_GAP_MS, measured, [take.value for take in measured])


@pytest.mark.alone
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_is_replaced_within_a_second(avatar: Avatar, blow: signal.Signals) -> None:
    def measure() -> float:
        live, spent = Live(avatar), list[float]()

        async def scenario() -> None:
            await live.pictures(10)
            victim, began = live.pool._workers[0].process.pid, time.monotonic()
            os.kill(victim, blow)
            await until(lambda: live.pool._workers[0].process.pid != victim)
            spent.append(time.monotonic() - began)

        try:
            asyncio.run(live.play(scenario()))
        finally:
            live.close()
        return spent[0]

    measured = measure_until(measure, lambda took_s: took_s <= 1.0)
    judge(measured[-1].value <= 1.0, measured, [take.value for take in measured])
