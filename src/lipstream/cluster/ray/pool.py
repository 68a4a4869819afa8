"""The directory of an application's workers, as its replicas reach it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

import ray
from ray.exceptions import RayError

from lipstream.cluster.ray.directory import WorkerDirectory
from lipstream.errors import LipstreamError

NAMESPACE = "lipstream"
ANSWER_S = 5.0


class DirectoryClient:
    """Reaches the directory. The first worker starts it, and the last one ends it; Ray starts it
    again where it dies. All methods raise LipstreamError where it does not answer."""

    def __init__(self, application: str) -> None:
        self._name = f"workers of {application}"
        self._actor: Any = None

    async def renew(self, replica: str, urls: Mapping[str, str]) -> list[str]:
        """As `WorkerDirectory.renew`."""
        if self._actor is None:
            self._actor = await _answer(asyncio.to_thread(_open, self._name))
        hung: list[str] = await self._ask("renew", replica, dict(urls))
        return hung

    async def leave(self, replica: str) -> None:
        """As `WorkerDirectory.leave`; ends a directory that nobody needs."""
        actor = await self._find()
        if actor is not None and await self._ask("leave", replica):
            await _answer(asyncio.to_thread(ray.kill, actor))

    async def workers(self) -> Mapping[str, str]:
        """As `WorkerDirectory.workers`; none where there was no worker yet."""
        if await self._find() is None:
            return {}
        known: Mapping[str, str] = await self._ask("workers")
        return known

    async def hung(self, worker: str) -> None:
        """As `WorkerDirectory.hung`."""
        if await self._find() is not None:
            await self._ask("hung", worker)

    async def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            return await _answer(getattr(self._actor, method).remote(*arguments))
        except LipstreamError:
            self._actor = None  # it may be another one by now
            raise

    async def _find(self) -> Any:
        """The actor; None where nobody has started it."""
        if self._actor is None:
            self._actor = await _answer(asyncio.to_thread(_known, self._name))
        return self._actor


async def _answer(call: Awaitable[Any]) -> Any:
    try:
        return await asyncio.wait_for(call, ANSWER_S)
    # ValueError: two replicas start it at once, or it has just ended.
    except (RayError, ValueError, OSError, asyncio.TimeoutError) as error:
        reason = type(error).__name__
        raise LipstreamError(f"the directory of workers does not answer ({reason}).") from error


def _open(name: str) -> Any:
    """The actor, which is started where there is none. Blocks until Ray's head has answered."""
    actor = ray.remote(num_cpus=0, max_restarts=-1)(WorkerDirectory)
    return actor.options(
        name=name, namespace=NAMESPACE, get_if_exists=True, lifetime="detached"
    ).remote()


def _known(name: str) -> Any:
    """The actor, or None. Blocks too."""
    try:
        return ray.get_actor(name, NAMESPACE)
    except ValueError:
        return None
