"""From the scheduler's thread to the event loop of a session."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from lipstream.live.clock import Clock
from lipstream.live.scheduler.jobs import RenderJob


def call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Run `callback` on the thread of `loop`, unless it has closed. From any thread."""
    with contextlib.suppress(RuntimeError):  # the loop has closed
        loop.call_soon_threadsafe(callback)


async def until_done(job: RenderJob, clock: Clock, deadline_ms: int) -> None:
    """Return when `job` is done, or at the deadline."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    job.wake = lambda: call_on(loop, done.set)
    if job.done:  # before `wake` was set
        return
    ends: tuple[Coroutine[Any, Any, object], ...] = (done.wait(), clock.sleep_until(deadline_ms))
    waits = [asyncio.ensure_future(end) for end in ends]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
