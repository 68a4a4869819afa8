"""Asks all workers for their load, over and over: who is there, who has room, and who hangs."""

from __future__ import annotations

import asyncio
import logging

import httpx

from lipstream.cluster.front.upstream import Upstream, is_refused
from lipstream.cluster.placement import Placement, WorkerLoad
from lipstream.cluster.workers import WorkerPool
from lipstream.live.clock import Clock

LOOK_MS = 500  # between two rounds
WORKER_MS = 10  # at least, of a round, for each worker: 1000 are asked within 10 s
MAX_SILENT = 2  # answers that may be missing before nothing more is placed there
ROUND_S = 2.0  # for a round that somebody waits for
HUNG = 4  # missing in a row, each for a second: then it hangs

log = logging.getLogger("lipstream.cluster")


class LoadWatch:
    """The workers as they were a moment ago.

    A worker is said to hang after answers that were each waited for: when this process itself, or
    its machine, stood still, that is one missing answer and not several.
    """

    def __init__(
        self, pool: WorkerPool, upstream: Upstream, token: str | None, clock: Clock
    ) -> None:
        self.placement = Placement()
        self.urls: dict[str, str] = {}
        self.looked = False  # once at least: before, nobody can be said to be gone
        self._pool, self._upstream, self._token, self._clock = pool, upstream, token, clock
        self._silent: dict[str, int] = {}  # missing answers in a row
        self._due_ms: int | None = None  # when the next round begins, while somebody looks
        self._rounds: set[asyncio.Future[None]] = set()  # of those who wait for its end

    @property
    def ready(self) -> bool:
        """True when at least one worker takes sessions, or will when one has ended."""
        return any(not load.draining for load in self.placement.loads().values())

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            due = self._due_ms = self._clock.now_ms() + max(LOOK_MS, WORKER_MS * len(self.urls))
            try:
                await self.look()
            except Exception:
                # The pool's own errors: what is known so far still stands.
                log.exception("the workers could not be looked at")
            await self._clock.sleep_until(due)

    async def look(self) -> None:
        """Ask every worker once."""
        urls = dict(await self._pool.workers())
        for worker, url in list(self.urls.items()):
            if urls.get(worker) != url:
                self._forget(worker)
        self.urls = urls
        await asyncio.gather(*(self._ask(worker, url) for worker, url in urls.items()))
        self.looked = True
        for waiting in self._rounds:
            if not waiting.done():
                waiting.set_result(None)

    async def next_look(self, within_ms: int) -> bool:
        """Return True with the loads of the next round; False at once where it begins later than
        `within_ms`, or nobody looks, and after `ROUND_S` more where it cannot be ended."""
        if self._due_ms is None or self._due_ms - self._clock.now_ms() > within_ms:
            return False
        waiting = asyncio.get_running_loop().create_future()
        self._rounds.add(waiting)
        try:
            done, _ = await asyncio.wait({waiting}, timeout=within_ms / 1000 + ROUND_S)
        finally:
            self._rounds.discard(waiting)
        return bool(done)

    def lost(self, worker: str) -> None:
        """A request could not be delivered there: place nothing until it answers again."""
        self.placement.forget(worker)

    async def _ask(self, worker: str, url: str) -> None:
        mark = self.placement.mark(worker)
        try:
            answer = await self._upstream.read_json(url, "/v1/load", self._token)
            if answer.get("worker") != worker:
                raise ValueError(f"it says that it is {answer.get('worker')!r}")
            load = WorkerLoad.parse(answer)
        except httpx.TransportError as error:
            await self._missing(worker, gone=is_refused(error))
        except ValueError as error:
            if worker not in self._silent:
                log.warning("worker refused", extra={"worker": worker, "reason": str(error)})
            self._silent[worker] = 0  # it answers, and does not hang
            self.placement.forget(worker)
        else:
            if self.urls.get(worker) == url:
                self._silent.pop(worker, None)
                self.placement.observe(worker, load, mark)

    async def _missing(self, worker: str, *, gone: bool) -> None:
        """Note that an answer did not come."""
        if gone:  # nobody listens: it starts, or has ended
            self.placement.forget(worker)
            return
        silent = self._silent[worker] = self._silent.get(worker, 0) + 1
        if silent >= MAX_SILENT:
            self.placement.forget(worker)
        if silent == HUNG:
            log.error("worker hangs", extra={"worker": worker})
            await self._pool.hung(worker)

    def _forget(self, worker: str) -> None:
        self._silent.pop(worker, None)
        self.placement.forget(worker)
