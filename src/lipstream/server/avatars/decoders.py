"""The child processes that open uploads: few at once, whoever sends how much."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lipstream.config import Progress
from lipstream.server.avatars.sandbox import DecodeJob
from lipstream.server.avatars.uploads import run_isolated
from lipstream.server.errors import ApiError

MAX_PROCESSES = 2  # at once; one where there is one core
MAX_FILES = 16  # that are received or opened at once; further requests are refused
PATIENCE_S = 60.0  # for which a received file waits for a process
RETRY_S = "10"
BUSY = "too many files are being received and opened; send this one again in a while."


class Decoders:
    """Bounds the uploads in hand, from before their bodies are read, and the processes that open
    them. Used on the event loop only."""

    def __init__(self, cores: int) -> None:
        self._processes = asyncio.Semaphore(min(cores, MAX_PROCESSES))
        self._files = 0

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place for one file, to be asked for before the body is read; ApiError 503 when all are
        taken."""
        if self._files >= MAX_FILES:
            raise _busy()
        self._files += 1
        try:
            yield
        finally:
            self._files -= 1

    async def run(
        self,
        job: DecodeJob,
        folder: Path,
        progress: Progress | None = None,
        patience_s: float | None = PATIENCE_S,
    ) -> Any:
        """`run_isolated` once a process may be started; ApiError 503 when that takes longer than
        `patience_s`, None for any time."""
        try:
            await asyncio.wait_for(self._processes.acquire(), patience_s)
        except asyncio.TimeoutError:
            raise _busy() from None
        try:
            return await run_isolated(job, folder, progress)
        finally:
            self._processes.release()


def _busy() -> ApiError:
    return ApiError(503, BUSY, "busy", {"Retry-After": RETRY_S})
