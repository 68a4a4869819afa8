"""The leak gate: what a test leaves behind fails it.

Watched are asyncio tasks (of whatever runs in `asyncio.run`), threads and file descriptors. What
fixtures of a wider scope hold open was there before the test and is not its own.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any

DESCRIPTORS = Path("/proc/self/fd")
CYCLES = 20  # of the loop, for tasks that are just ending

# Threads that libraries keep for good, by the start of their names.
KEPT_THREADS = ("pydevd", "tqdm_monitor")
# Files likewise, by a part of their names.
KEPT_FILES = ("onnxruntime.db",)


class LeakGate:
    """Between `with` and its end nothing may be left behind; `left` tells what is."""

    def __init__(self) -> None:
        self.patience_s = 2.0  # for threads that are just ending
        self._tasks: list[str] = []
        self._threads: set[threading.Thread] = set()
        self._descriptors: dict[str, str] = {}
        self._run = asyncio.run

    def __enter__(self) -> LeakGate:
        self._threads = set(threading.enumerate())
        self._descriptors = descriptors()
        self._run = asyncio.run
        asyncio.run = self._watched_run
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run = self._run

    def left(self, on_a_gpu: bool = False) -> list[str]:
        """One line for every task, thread and descriptor that is left.

        A GPU's driver opens files and sockets whenever it likes and keeps them: none are told then.
        """
        files = [] if on_a_gpu else self._left_descriptors()
        return [*self._tasks, *self._left_threads(), *files]

    def _left_threads(self) -> list[str]:
        new = [
            thread
            for thread in threading.enumerate()
            if thread not in self._threads and not thread.name.startswith(KEPT_THREADS)
        ]
        for thread in new:
            thread.join(self.patience_s / len(new))
        return [f"thread {thread.name}" for thread in new if thread.is_alive()]

    def _left_descriptors(self) -> list[str]:
        if self._new_descriptors():
            gc.collect()  # some close with an object that is part of a cycle
        return [f"descriptor {number} of {name}" for number, name in self._new_descriptors()]

    def _new_descriptors(self) -> list[tuple[str, str]]:
        return [
            (number, name)
            for number, name in descriptors().items()
            if self._descriptors.get(number) != name
            and not any(kept in name for kept in KEPT_FILES)
        ]

    def _watched_run(self, main: Coroutine[Any, Any, Any], **options: Any) -> Any:
        return self._run(self._watch(main), **options)

    async def _watch(self, main: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await main
        finally:
            own = asyncio.current_task()
            for _ in range(CYCLES):
                tasks = asyncio.all_tasks() - {own}
                if not tasks:
                    break
                await asyncio.sleep(0)
            self._tasks += [f"task {task.get_coro()}" for task in asyncio.all_tasks() - {own}]


def descriptors() -> dict[str, str]:
    """What is open: number -> what it stands for. Empty where there is no /proc."""
    found: dict[str, str] = {}
    try:
        numbers = os.listdir(DESCRIPTORS)
    except FileNotFoundError:
        return found
    for number in numbers:
        try:
            found[number] = os.readlink(DESCRIPTORS / number)
        except FileNotFoundError:  # that of the listing itself
            continue
    return found
