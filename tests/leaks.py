"""The leak gate: a test fails on the tasks, threads and file descriptors that it leaves open.

Tasks are those of `asyncio.run`. Whatever a fixture of a wider scope holds was open before.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

DESCRIPTORS = Path("/proc/self/fd")
TASK_CYCLES = 20  # of the loop, for tasks that are just ending
# Libraries keep these for good: threads by the start of their names, files by a part of theirs.
# "Dummy-" is Python's name for threads that a library started by itself and calls it from.
KEPT_THREADS, KEPT_FILES = ("pydevd", "tqdm_monitor", "Dummy-"), ("onnxruntime.db",)


class LeakGate:
    """A context that watches what is opened; `left` lists what is still open."""

    def __init__(self) -> None:
        self.timeout_s = 2.0  # for threads, and sockets of servers in threads, that are just ending
        self._tasks: list[str] = []
        self._threads = set(threading.enumerate())
        self._descriptors = descriptors()
        self._run = asyncio.run

    def __enter__(self) -> LeakGate:
        asyncio.run = lambda main, **options: self._run(self._watch(main), **options)
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run = self._run

    def left(self, native: bool = False) -> list[str]:
        """One line for every task, thread and descriptor that is still open.

        The driver of a GPU and the library of LiveKit open descriptors at any time and keep them:
        with such a `native` part they are not listed.
        """
        threads = [
            thread
            for thread in threading.enumerate()
            if thread not in self._threads and not thread.name.startswith(KEPT_THREADS)
        ]
        for thread in threads:
            thread.join(self.timeout_s / len(threads))
        alive = [f"thread {thread.name}" for thread in threads if thread.is_alive()]
        if not native and self._new_descriptors():
            gc.collect()  # some close with an object that is part of a cycle
            end = time.monotonic() + self.timeout_s
            while self._new_descriptors() and time.monotonic() < end:
                time.sleep(0.02)
        return [*self._tasks, *alive, *([] if native else self._new_descriptors())]

    def _new_descriptors(self) -> list[str]:
        return [
            f"descriptor {number} of {name}"
            for number, name in descriptors().items()
            if self._descriptors.get(number) != name and not any(k in name for k in KEPT_FILES)
        ]

    async def _watch(self, main: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await main
        finally:
            own = asyncio.current_task()
            for _ in range(TASK_CYCLES):
                await asyncio.sleep(0)
            self._tasks += [f"task {task.get_coro()}" for task in asyncio.all_tasks() - {own}]


def descriptors() -> dict[str, str]:
    """The open descriptors: number -> name of the file. Empty where there is no /proc."""
    found: dict[str, str] = {}
    for number in os.listdir(DESCRIPTORS) if DESCRIPTORS.exists() else ():
        try:
            found[number] = os.readlink(DESCRIPTORS / number)
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
    return found
