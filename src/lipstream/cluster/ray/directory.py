"""The directory of workers: replicas tell it their workers' addresses, fronts ask it.

Serve has no way to ask all replicas. An entry holds as long as its replica renews it, while it
drains too. A directory that was just started waits until every replica had the time to renew, so
that no worker is taken for gone.
"""

from __future__ import annotations

from collections.abc import Mapping

from lipstream.live.clock import Clock, MonotonicClock

RENEW_S = 0.5  # between two renewals
LEASE_MS = 5_000
SETTLE_MS = 2_500


class WorkerDirectory:
    """One actor of an application. All methods are coroutines: the actor runs them on one loop."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or MonotonicClock()
        self._settled_ms = self._clock.now_ms() + SETTLE_MS
        self._entries: dict[str, tuple[Mapping[str, str], int]] = {}  # until when
        self._hung: set[str] = set()

    async def renew(self, replica: str, urls: Mapping[str, str]) -> list[str]:
        """Keep the addresses of a replica's workers; return those of them that are said to hang."""
        self._entries[replica] = urls, self._clock.now_ms() + LEASE_MS
        hung = self._hung & set(urls)
        self._hung -= hung
        return sorted(hung)

    async def leave(self, replica: str) -> bool:
        """The replica has no workers any more; return True when nobody has."""
        self._entries.pop(replica, None)
        return not self._entries

    async def hung(self, worker: str) -> None:
        """Note that a worker does not answer, for its replica to replace it."""
        if worker in await self.workers():
            self._hung.add(worker)

    async def workers(self) -> dict[str, str]:
        """The ids and base URLs of all workers."""
        await self._clock.sleep_until(self._settled_ms)
        now = self._clock.now_ms()
        self._entries = {id: one for id, one in self._entries.items() if one[1] > now}
        known: dict[str, str] = {}
        for urls, _ in self._entries.values():
            known.update(urls)
        self._hung &= set(known)
        return known
