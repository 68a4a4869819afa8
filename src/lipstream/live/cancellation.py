"""The end of tasks that run until they are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 1.0  # after which a task that still runs is cancelled once more


async def cancel_until_ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, again where that was lost, and return when all have ended, however they did.

    Before Python 3.12 `asyncio.wait_for` loses a cancellation that comes with its result; a task
    with an endless loop around it then runs on, and whoever cancelled it waits for ever.
    """
    tasks = list(tasks)
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)  # whose errors are read so
