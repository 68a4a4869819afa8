"""uvicorn around a front: from its first signal on it places nothing, and ends when it may."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from lipstream.cluster.front.app import Front
from lipstream.cluster.local_workers import LocalWorkers
from lipstream.errors import LipstreamError
from lipstream.live.cancellation import cancel_until_ended
from lipstream.server.http.http_protocol import ConnectionLimits
from lipstream.server.http.uvicorn_server import HURRIED_CLOSE_S, hardened

WORKERS_END_S = 15.0  # for workers to end after their own --drain-timeout
AGAIN_S = 0.5  # between looks at workers that have only just started
KILL_S = 3.0  # after a second signal

log = logging.getLogger("lipstream.cluster")


def serve_front(
    front: Front,
    bound: socket.socket,
    drain_timeout_s: int,
    on_ready: Callable[[], None],
    local: LocalWorkers | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C, and start and end the `local` workers. LipstreamError when the
    first of them could not start."""
    server = FrontServer(front, drain_timeout_s, local)
    asyncio.run(_serve(server, bound, on_ready))
    if server.failed:
        raise LipstreamError("the first worker could not start; it has said why.")


async def _serve(server: FrontServer, bound: socket.socket, on_ready: Callable[[], None]) -> None:
    starting = asyncio.create_task(server.start_workers(on_ready), name="start of the workers")
    try:
        await server.serve(sockets=[bound])
    finally:
        if server.local is not None:
            await server.local.close()
        await cancel_until_ended([starting])


class FrontServer(uvicorn.Server):
    """Goes on while local workers drain; with workers elsewhere, while an utterance is sent."""

    def __init__(self, front: Front, drain_timeout_s: int, local: LocalWorkers | None) -> None:
        limits = ConnectionLimits(front.settings)
        table = limits.ordinary
        front.metrics.watch_connections(table)
        super().__init__(hardened(front, front.settings, limits))
        self._front, self._drain_timeout_s = front, drain_timeout_s
        self.local = local
        self.failed = False
        self._until: float | None = None  # monotonic seconds
        self._signals = self._handled = 0
        self._listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()

    async def start_workers(self, on_ready: Callable[[], None]) -> None:
        """Say that the front is ready when a worker is."""
        if self.local is not None and not await self.local.start():
            self.failed = not self._signals
            self.should_exit = True
            return
        await self._listening.wait()
        await self._front.watch.look()
        while self.local is not None and not self._front.watch.ready:  # too busy for an answer
            await asyncio.sleep(AGAIN_S)
            await self._front.watch.look()
        on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Signals interrupt anything: only flags are changed."""
        self._signals += 1
        self._front.draining = True

    async def on_tick(self, counter: int) -> bool:
        if self._signals != self._handled:
            self._handled = self._signals
            self._obey()
        if self._until is not None:
            awaited = self._front.sockets.speaking if self.local is None else self.local.alive
            if not awaited or time.monotonic() >= self._until:
                log.info("stopping", extra={"waited for": awaited or None})
                self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:  # then uvicorn leaves this out
            await self.lifespan.shutdown()

    def _obey(self) -> None:
        """Begin to end; after a second signal, end."""
        if self.local is not None:
            self.local.stop()
        if self._signals == 1:
            extra_s = 0.0 if self.local is None else WORKERS_END_S
            self._until = time.monotonic() + self._drain_timeout_s + extra_s
            log.info("draining", extra={"workers": self.local and self.local.alive})
        else:
            self.config.timeout_graceful_shutdown = HURRIED_CLOSE_S
            self._until = time.monotonic() + (0.0 if self.local is None else KILL_S)
            self.force_exit = self.local is None
