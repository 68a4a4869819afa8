"""The two deployments: replicas that supervise a worker each, and replicas that are a front.

A worker's media process is a child of its replica and not the replica itself, so Ray's threads stay
out of the loop that sends pictures.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

import httpx
import ray
from ray import serve

from lipstream.cluster.front.app import Front
from lipstream.cluster.front.serving import WORKERS_END_S
from lipstream.cluster.front.upstream import Upstream
from lipstream.cluster.local_workers import LocalWorkers
from lipstream.cluster.placement import WorkerLoad
from lipstream.cluster.ray.command import worker_command
from lipstream.cluster.ray.directory import RENEW_S
from lipstream.cluster.ray.options import RayOptions
from lipstream.cluster.ray.policy import PLACES, TAKEN
from lipstream.cluster.ray.pool import DirectoryClient
from lipstream.errors import LipstreamError
from lipstream.live.cancellation import cancel_until_ended
from lipstream.server.logging import logging_to_stderr
from lipstream.server.settings import MEBIBYTE, ServeSettings, UploadLimits

LOOK_S = 0.1  # between two looks at what the directory should know
GIVE_UP_S = 90.0  # without a worker; then Serve may try another machine

log = logging.getLogger("lipstream.cluster")


class WorkerReplica:
    """Supervises one `lipstream serve`: started again when it dies or hangs, drained at the end."""

    async def __init__(self, options: RayOptions) -> None:  # type: ignore[misc]  # Serve awaits it
        self._options = options
        context = serve.get_replica_context()
        self._name = context.replica_id.unique_id  # 8 small letters and digits
        self._directory = DirectoryClient(context.app_name)
        self._upstream = Upstream()
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(logging_to_stderr("text"))
        folder = tempfile.TemporaryDirectory(prefix="lipstream-costs-")
        self._costs = self._stack.enter_context(folder)  # for those that are started again
        if options.secret is not None:  # by the environment: command lines can be seen by others
            os.environ["LIPSTREAM_TOKEN"] = options.secret
        self._local = LocalWorkers(1, self._command, lambda: None, prefix=f"{self._name}w")
        self._ready_at = time.monotonic()
        self._renewing = asyncio.create_task(self._renew(), name="renewal of the directory")
        if not await self._local.start():
            await self._end()
            raise LipstreamError("the worker could not start; its log says why.")

    def _command(self, place: int, worker: str) -> Sequence[str]:
        host = ray.util.get_node_ip_address()
        machines = [node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]]
        own = worker_command(self._options, worker, host, machines, self._costs)
        return [sys.executable, "-m", "lipstream", *own]

    async def _renew(self) -> None:
        """Tell the directory where the worker is, until cancelled; also while it drains, when Serve
        asks for nothing any more."""
        due = 0.0
        told: Mapping[str, str] | None = None
        while True:
            urls = await self._local.workers()
            if urls != told or time.monotonic() >= due:
                due = time.monotonic() + RENEW_S
                try:
                    for worker in await self._directory.renew(self._name, urls):
                        await self._local.hung(worker)
                    told = urls
                except LipstreamError as error:
                    log.warning("directory lost", extra={"reason": str(error)})
                    await asyncio.sleep(RENEW_S)
            await asyncio.sleep(LOOK_S)

    async def check_health(self) -> None:
        """Raise RuntimeError, so that Serve replaces this replica, after a while without worker."""
        if await self._local.workers():
            self._ready_at = time.monotonic()
        elif time.monotonic() - self._ready_at > GIVE_UP_S:
            raise RuntimeError(f"no worker could be started for {GIVE_UP_S:.0f} s")

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """The places that are taken, and all; none of either while there is no worker."""
        for url in (await self._local.workers()).values():
            with contextlib.suppress(httpx.TransportError, ValueError):
                answer = await self._upstream.read_json(url, "/v1/load", self._options.secret)
                load = WorkerLoad.parse(answer)
                taken = max(load.sessions, load.sessions_max - load.free)
                return {TAKEN: taken, PLACES: load.sessions_max}
        return {TAKEN: 0, PLACES: 0}

    async def __del__(self) -> None:
        """Serve's graceful stop: what is spoken is spoken, or sessions end, as `drain` says."""
        await self._local.drain(self._options.drain_timeout_s + WORKERS_END_S)
        await self._end()

    async def _end(self) -> None:
        await self._local.close()
        await cancel_until_ended([self._renewing])
        with contextlib.suppress(LipstreamError):  # then its lease runs out
            await self._directory.leave(self._name)
        await self._upstream.close()
        self._stack.close()


@serve.ingress()
class FrontReplica:
    """The front, behind Serve's proxies. It may be there many times."""

    def __init__(self, options: RayOptions, workers: object) -> None:
        """`workers` is Serve's handle of the other deployment, and not needed."""
        self._options = options
        logging_to_stderr("text").__enter__()  # until this process ends

    def __serve_build_asgi_app__(self) -> Front:
        options = self._options
        settings = ServeSettings(
            host=ray.util.get_node_ip_address(),
            token=options.secret,
            origins=options.origins,
            uploads=UploadLimits(body=options.upload_limit * MEBIBYTE),
        )
        return Front(settings, DirectoryClient(serve.get_replica_context().app_name))
