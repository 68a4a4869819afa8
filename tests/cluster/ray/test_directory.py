from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lipstream.cluster.ray.directory import LEASE_MS, SETTLE_MS, WorkerDirectory
from lipstream.live.clock import ManualClock


def run(scenario: Callable[[WorkerDirectory, ManualClock], Awaitable[None]]) -> None:
    """A directory that has settled."""

    async def main() -> None:
        clock = ManualClock()
        directory = WorkerDirectory(clock)
        clock.advance(SETTLE_MS)
        await scenario(directory, clock)

    asyncio.run(main())


def test_the_workers_of_all_replicas_are_known_until_they_leave() -> None:
    async def scenario(directory: WorkerDirectory, clock: ManualClock) -> None:
        await directory.renew("a", {"aw1": "http://10.0.0.1:1"})
        await directory.renew("b", {"bw1": "http://10.0.0.2:1"})
        assert await directory.workers() == {
            "aw1": "http://10.0.0.1:1",
            "bw1": "http://10.0.0.2:1",
        }
        await directory.renew("a", {"aw1r1": "http://10.0.0.1:2"})  # it died
        assert set(await directory.workers()) == {"aw1r1", "bw1"}
        assert not await directory.leave("b")
        assert set(await directory.workers()) == {"aw1r1"}
        assert await directory.leave("a")  # which was the last one

    run(scenario)


def test_a_replica_that_renews_nothing_is_forgotten() -> None:
    async def scenario(directory: WorkerDirectory, clock: ManualClock) -> None:
        await directory.renew("a", {"aw1": "http://10.0.0.1:1"})
        clock.advance(LEASE_MS - 1)
        assert await directory.workers()
        clock.advance(1)
        assert not await directory.workers()

    run(scenario)


def test_its_replica_is_told_once_that_a_worker_hangs() -> None:
    async def scenario(directory: WorkerDirectory, clock: ManualClock) -> None:
        a, b = {"aw1": "http://10.0.0.1:1"}, {"bw1": "http://10.0.0.2:1"}
        await directory.renew("a", a)
        await directory.renew("b", b)
        await directory.hung("aw1")
        await directory.hung("nobody")
        assert await directory.renew("b", b) == []
        assert await directory.renew("a", a) == ["aw1"]
        assert await directory.renew("a", a) == []

    run(scenario)


def test_a_new_directory_answers_when_all_replicas_had_time_to_renew() -> None:
    async def main() -> None:
        clock = ManualClock()
        directory = WorkerDirectory(clock)
        asked = asyncio.create_task(directory.workers())
        await asyncio.sleep(0)
        assert not asked.done()
        await directory.renew("a", {"aw1": "http://10.0.0.1:1"})
        clock.advance(SETTLE_MS)
        assert set(await asked) == {"aw1"}

    asyncio.run(main())
