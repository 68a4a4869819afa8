"""Looks at a store again and again, so that what other servers do to it is known here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lipstream.live.clock import Clock
from lipstream.server.avatars.stores.base import AvatarStore, StoredAvatar, StoreError

LOOK_MS = 1_000  # between two looks
SEEK_S = 0.25  # between two looks for ids that are not known, whoever asks for how many
MAX_ELAPSED_MS = 2 * LOOK_MS  # a server that stood still has not watched
LOG_MS = 60_000  # between two lines about a store that is gone

log = logging.getLogger("lipstream.server")


@dataclass(frozen=True, slots=True)
class Look:
    """One successful look at a store."""

    number: int  # of looks begun, this one included
    elapsed_ms: int  # for which the store was watched since the look before; 0 after a failed one
    found: Mapping[str, StoredAvatar]


class StoreWatch:
    """The looks of one server, one at a time, in order. Used on the event loop only."""

    def __init__(self, store: AvatarStore, clock: Clock, on_look: Callable[[Look], None]) -> None:
        self._store, self._clock, self._on_look = store, clock, on_look
        self.looks = 0  # begun so far
        self._error: StoreError | None = None
        self._opened = False
        self._turn, self._seeking = asyncio.Lock(), asyncio.Lock()
        self._looked_ms: int | None = None  # when the last look succeeded, if it did
        self._logged_ms: int | None = None
        self._sought_s = 0.0

    async def look(self, asked: int | None = None) -> None:
        """Look, unless one who waited longer has begun to after `asked` looks, now by default;
        StoreError when the store cannot be reached."""
        asked = self.looks if asked is None else asked
        async with self._turn:
            if self.looks == asked:
                await self._look()
            elif self._error is not None:
                raise StoreError(str(self._error))

    async def seek(self) -> None:
        """Look for an avatar that is not known here; StoreError at once while the store is gone."""
        if self._error is not None:
            raise StoreError(str(self._error))
        asked, loop = self.looks, asyncio.get_running_loop()
        async with self._seeking:
            if self.looks == asked:
                await asyncio.sleep(max(0.0, self._sought_s + SEEK_S - loop.time()))
                self._sought_s = loop.time()
            await self.look(asked)

    async def _look(self) -> None:
        self.looks += 1
        try:
            if not self._opened:
                await self._store.open()
                self._opened = True
            found = await self._store.list()
        except StoreError as error:
            self._fail(error)
            raise
        if self._error is not None:
            log.info("store of avatars is back")
        now, before = self._clock.now_ms(), self._looked_ms
        elapsed = 0 if before is None else min(now - before, MAX_ELAPSED_MS)
        self._error, self._looked_ms, self._logged_ms = None, now, None
        self._on_look(Look(self.looks, elapsed, found))

    def _fail(self, error: StoreError) -> None:
        """Say it once a minute."""
        self._error, self._looked_ms = error, None
        now = self._clock.now_ms()
        if self._logged_ms is None or now - self._logged_ms >= LOG_MS:
            self._logged_ms = now
            log.warning("store of avatars is unavailable", extra={"reason": str(error)})
