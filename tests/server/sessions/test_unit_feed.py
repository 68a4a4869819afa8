"""Units go to whatever takes them, and nobody waits for anybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from lipstream.live.session.session import Session
from lipstream.live.session.types import Unit
from lipstream.server.sessions.unit_feed import MAX_BEHIND, UnitFeed
from tests.server.app_client import settle
from tests.server.sources import MarkedSource


class HandFedSession:
    """Gives out a unit whenever the test says so, to whoever drew last."""

    def __init__(self) -> None:
        self.closed = False
        self.draws = 0
        self._units: asyncio.Queue[Unit | None] = asyncio.Queue()
        self._next = 0

    async def give(self, units: int = 1) -> None:
        for _ in range(units):
            self._units.put_nowait(MarkedSource().unit(self._next))
            self._next += 1
        await settle()

    def close(self) -> None:
        self.closed = True
        self._units.put_nowait(None)

    async def units(self) -> AsyncIterator[Unit]:
        self.draws += 1
        while (unit := await self._units.get()) is not None:
            yield unit


class Watching:
    """A viewer, and what it saw."""

    def __init__(self, feed: UnitFeed) -> None:
        self.seen: list[int] = []
        self.task = asyncio.create_task(self._watch(feed))

    async def _watch(self, feed: UnitFeed) -> None:
        async for unit in feed.units():
            self.seen.append(unit.index)

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def opened() -> tuple[HandFedSession, UnitFeed, list[int]]:
    live, sunk = HandFedSession(), list[int]()
    feed = UnitFeed(cast(Session, live))
    feed.add_sink(lambda unit: sunk.append(unit.index))
    return live, feed, sunk


def run(scene: Any) -> None:
    asyncio.run(asyncio.wait_for(scene(), 20))


def test_a_viewer_draws_and_sinks_are_given_the_same() -> None:
    async def scene() -> None:
        live, feed, sunk = opened()
        viewer = Watching(feed)
        await live.give(3)
        assert viewer.seen == sunk == [0, 1, 2]
        await viewer.leave()
        await live.give()
        assert sunk == [0, 1, 2]  # without a viewer it stands still
        feed.draw()  # as a shared one is
        await settle()
        assert sunk == [0, 1, 2, 3]
        live.close()
        await feed.close()

    run(scene)


def test_viewers_of_a_shared_feed_come_and_go_unnoticed() -> None:
    async def scene() -> None:
        live, feed, sunk = opened()
        feed.shared = True
        await live.give()
        assert sunk == []  # nobody has asked for any yet
        viewer = Watching(feed)
        await settle()
        await live.give()
        await viewer.leave()
        await live.give()
        second = Watching(feed)
        await settle()
        await live.give()
        assert (viewer.seen, second.seen, sunk) == ([0, 1], [3], [0, 1, 2, 3])
        assert live.draws == 1
        live.close()
        await second.task
        await feed.close()

    run(scene)


def test_a_viewer_who_does_not_take_units_misses_some() -> None:
    async def scene() -> None:
        live, feed, sunk = opened()
        feed.shared = True
        units = feed.units()
        first = asyncio.create_task(anext(units))
        await settle()
        await live.give()
        assert (await first).index == 0
        await live.give(MAX_BEHIND + 3)
        assert [(await anext(units)).index for _ in range(2)] == [4, 5]
        assert len(sunk) == MAX_BEHIND + 4
        await feed.close()
        await units.aclose()

    run(scene)
