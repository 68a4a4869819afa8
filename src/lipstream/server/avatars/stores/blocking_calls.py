"""Calls that may block for ever, made in threads and given up after a while."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from lipstream.server.avatars.stores.base import StoreError

T = TypeVar("T")


class BlockingCalls:
    """Makes at most `limit` calls at once. One that hangs keeps its place until it ends, so that
    no number of them fills the process with threads; the threads do not hold up its exit."""

    def __init__(self, limit: int) -> None:
        self._places = asyncio.Semaphore(limit)

    async def run(self, deadline_s: float, call: Callable[..., T], *args: Any) -> T:
        """The result of `call(*args)`, or what it raises; StoreError when it, or the wait for a
        place, takes longer than `deadline_s`."""
        made = asyncio.ensure_future(self._begin(call, *args))
        try:
            # Before Python 3.12 `wait_for` loses a cancellation that comes with the result.
            done, _ = await asyncio.wait({made}, timeout=deadline_s)
        finally:
            made.cancel()
        if not done:
            raise StoreError(f"it has not answered within {deadline_s:g} s")
        return made.result()

    async def _begin(self, call: Callable[..., T], *args: Any) -> T:
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def settle(error: BaseException | None, result: T | None) -> None:
            self._places.release()
            if outcome.cancelled():
                return
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(result)  # type: ignore[arg-type]

        def work() -> None:
            error, result = None, None
            try:
                result = call(*args)
            except BaseException as raised:  # it is raised where the outcome is awaited
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(settle, error, result)

        threading.Thread(target=work, name="store", daemon=True).start()
        return await outcome
