"""The workers of one machine, as processes that are started again when they die or hang.

A worker's id names its place and how often it was filled: w2 is the second, w2r1 what came after
it. So sessions of a worker that died are known to be gone, and none is taken for its successor's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence

from lipstream.cluster.worker_process import WorkerProcess

MIN_WAIT_S, MAX_WAIT_S = 0.5, 30.0  # before the next start, doubled each time
STEADY_S = 60.0  # a worker that lived as long is not one that dies again and again

log = logging.getLogger("lipstream.cluster")


class LocalWorkers:
    """A `WorkerPool` of processes. They start one after the other: each measures itself alone."""

    def __init__(
        self,
        count: int,
        command: Callable[[int, str], Sequence[str]],
        on_restart: Callable[[], None],
        *,
        prefix: str = "w",
    ) -> None:
        """`command` is given a place, from 0, and the id of the worker that fills it. All ids begin
        with `prefix`."""
        self._prefix = prefix
        self._count, self._command, self._on_restart = count, command, on_restart
        self._urls: dict[str, str] = {}
        self._processes: dict[str, WorkerProcess] = {}
        self._starting = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._first: asyncio.Future[bool] | None = None
        self._stopping = asyncio.Event()

    @property
    def alive(self) -> int:
        """Processes that have not ended, those that start too."""
        return len(self._processes)

    async def workers(self) -> Mapping[str, str]:
        return dict(self._urls)

    async def hung(self, worker: str) -> None:
        """Kill it: its successor starts at once."""
        if (process := self._processes.get(worker)) is not None and not self._stopping.is_set():
            process.kill()

    async def start(self) -> bool:
        """Return when the first worker answers; False when it could not start."""
        self._first = asyncio.get_running_loop().create_future()
        for place in range(self._count):
            task = asyncio.create_task(self._fill(place), name=f"worker {place + 1}")
            self._tasks.append(task)
        return await self._first

    def stop(self) -> None:
        """Ask all to end; asked again, they hurry. None is started any more."""
        self._stopping.set()
        for process in self._processes.values():
            process.terminate()

    async def drain(self, timeout_s: float) -> None:
        """Ask all to end, and wait until they have, but no longer than that."""
        self.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    async def close(self) -> None:
        """Kill what is left, and wait until nothing is."""
        self._stopping.set()
        for process in self._processes.values():
            process.kill()
        await asyncio.gather(*self._tasks)

    async def _fill(self, place: int) -> None:
        """Keep a worker in this place until the end."""
        number, wait_s = 0, MIN_WAIT_S
        while not self._stopping.is_set():
            worker = f"{self._prefix}{place + 1}" + (f"r{number}" if number else "")
            began = time.monotonic()
            ready = await self._run(place, worker)
            if self._stopping.is_set():
                break
            if self._settle(ready):
                return  # the very first one could not start: nor would the others
            number += 1
            self._on_restart()
            wait_s = MIN_WAIT_S if time.monotonic() - began > STEADY_S else wait_s
            try:
                await asyncio.wait_for(self._stopping.wait(), wait_s)
            except asyncio.TimeoutError:
                wait_s = min(2 * wait_s, MAX_WAIT_S)
        self._settle(False)

    async def _run(self, place: int, worker: str) -> bool:
        """Run one worker to its end; True when it was ready meanwhile."""
        async with self._starting:
            if self._stopping.is_set():
                return False
            process = await WorkerProcess.start(self._command(place, worker))
            self._processes[worker] = process
            url = await process.address()
        if url is not None:
            log.info("worker ready", extra={"worker": worker, "address": url})
            self._urls[worker] = url
            if self._first is not None and not self._first.done():
                self._first.set_result(True)
        try:
            status = await process.ended()
        finally:
            self._urls.pop(worker, None)
            self._processes.pop(worker, None)
        level = logging.INFO if self._stopping.is_set() else logging.ERROR
        log.log(level, "worker ended", extra={"worker": worker, "status": status})
        return url is not None

    def _settle(self, ready: bool) -> bool:
        """Tell `start` that there will be no worker; True when that was so."""
        if self._first is None or self._first.done() or ready:
            return self._first is not None and self._first.done() and not self._first.result()
        self._first.set_result(False)
        return True
