"""Prepares avatars for the backend, and measures what a frame of each costs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.quiet_stretch import quiet_stretch
from lipstream.server.admission import Cost
from lipstream.server.avatars.cost_cache import cost_cache
from lipstream.server.avatars.entry import AvatarEntry, PartialProgress, poster
from lipstream.server.sessions.manager import SessionManager

MEASURED = 0.6  # of the progress bar: measuring the face; the rest is the backend's
REMEASURE_MS = 5_000  # between two looks for a calm moment

log = logging.getLogger("lipstream.server")


class BackendPreparation:
    """One avatar at a time, for all entries of a registry."""

    def __init__(self, manager: SessionManager, entries: Mapping[str, AvatarEntry]) -> None:
        self._manager, self._entries = manager, entries
        self._runtime, self._clock = manager.runtime, manager.clock
        self._turn = asyncio.Lock()
        self._costs = cost_cache(manager.settings, manager.runtime)

    async def show(self, entry: AvatarEntry, avatar: Avatar, borrow: bool = False) -> None:
        """Prepare it, and measure what a frame costs; with `borrow` one of the same size that is
        known will do until there is a calm moment."""
        async with self._turn:
            bar = PartialProgress(entry, MEASURED, 1.0)
            quiet = quiet_stretch(avatar)
            shown = await asyncio.to_thread(self._runtime.prepare, quiet, bar)
            entry.poster = await asyncio.to_thread(poster, shown)
            like = self._similar(shown) if borrow else None
            if (known := await self._told(shown)) is not None:
                self._learn(entry, known)
            elif like is None:
                await self._measure(entry, shown)
            else:
                self._learn(entry, like)
                entry.borrowed = True
            entry.avatar = shown

    async def remeasure(self) -> None:
        """Measure what is not known well again whenever it is calm, until cancelled."""
        while True:
            await self._clock.sleep_until(self._clock.now_ms() + REMEASURE_MS)
            for entry in list(self._entries.values()):
                unsure = entry.inflated or entry.borrowed
                if unsure and entry.avatar is not None and self._manager.calm:
                    try:
                        async with self._turn:
                            await self._measure(entry, entry.avatar)
                    except Exception as error:  # the cost known so far still stands
                        log.warning("avatar could not be measured again", exc_info=error)

    async def _measure(self, entry: AvatarEntry, avatar: Avatar) -> None:
        """Measure what a frame costs. Of two measurements the lower counts."""
        known = None if entry.borrowed else entry.cost
        calm = self._manager.calm
        cost = await asyncio.to_thread(self._runtime.measure, avatar, self._similar(avatar))
        cost = cost if known is None else known.cheapest(cost)
        entry.inflated = not (calm and self._manager.calm)
        if self._costs is not None and not entry.inflated:
            await asyncio.to_thread(self._costs.keep, avatar, cost)
        self._learn(entry, cost)

    async def _told(self, avatar: Avatar) -> Cost | None:
        """The cost that another process has measured."""
        if self._costs is None:
            return None
        return await asyncio.to_thread(self._costs.find, avatar)

    def _similar(self, avatar: Avatar) -> Cost | None:
        """The measured cost of an avatar of this size."""
        for other in self._entries.values():
            alike = other.avatar is not None and other.avatar.size == avatar.size
            if alike and not other.inflated and not other.borrowed and other.cost is not None:
                return other.cost
        return None

    def _learn(self, entry: AvatarEntry, cost: Cost) -> None:
        entry.cost, entry.borrowed = cost, False
        if self._entries.get(entry.id) is entry:  # it may have been deleted meanwhile
            self._manager.capacity.learn(entry.id, cost)
