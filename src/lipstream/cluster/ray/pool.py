"""The directory of an application's workers, as its replicas reach it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayError

from lipstream.cluster.ray.directory import WorkerDirectory
from lipstream.errors import LipstreamError

NAMESPACE = "lipstream"
ANSWER_S = 5.0


class DirectoryClient:
    """Reaches the directory, and starts it where there is none.

    The actor ends with the replica that started it, so nothing is left of an application that was
    deleted; the next call of any other replica starts it again.
    """

    def __init__(self, application: str) -> None:
        self._name = f"workers of {application}"
        self._actor: Any = None

    async def renew(self, replica: str, urls: Mapping[str, str]) -> list[str]:
        """As `WorkerDirectory.renew`. All methods raise LipstreamError where it does not answer."""
        hung: list[str] = await self._ask("renew", replica, dict(urls))
        return hung

    async def leave(self, replica: str) -> None:
        """As `WorkerDirectory.leave`."""
        await self._ask("leave", replica)

    async def workers(self) -> Mapping[str, str]:
        """As `WorkerDirectory.workers`."""
        known: Mapping[str, str] = await self._ask("workers")
        return known

    async def hung(self, worker: str) -> None:
        """As `WorkerDirectory.hung`."""
        await self._ask("hung", worker)

    async def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            if self._actor is None:
                self._actor = await asyncio.to_thread(self._open)
            call = getattr(self._actor, method).remote(*arguments)
            return await asyncio.wait_for(call, ANSWER_S)
        except (RayError, ValueError, asyncio.TimeoutError) as error:
            self._actor = None  # ValueError: two replicas started it at once
            raise LipstreamError(f"the directory of workers does not answer: {error}.") from error

    def _open(self) -> Any:
        """Blocks until Ray's head has answered."""
        actor = ray.remote(num_cpus=0, max_restarts=-1)(WorkerDirectory)
        named = actor.options(name=self._name, namespace=NAMESPACE, get_if_exists=True)
        return named.remote()
