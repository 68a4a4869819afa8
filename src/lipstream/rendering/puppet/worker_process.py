"""The pool's handle of one worker process: its connection, its memory, what it has to answer."""

from __future__ import annotations

import contextlib
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from typing import BinaryIO

import numpy as np

import lipstream.errors
from lipstream.errors import LipstreamError
from lipstream.media.image import Picture
from lipstream.rendering.puppet.silence import Silence
from lipstream.rendering.puppet.worker_protocol import (
    ANSWER,
    DONE,
    DRAW,
    DRAW_SLOTS,
    FORGET,
    LOAD,
    LOAD_SLOT,
    MAX_TEXT_BYTES,
    MEMORY_BYTES,
    REFUSED,
    REQUEST,
    SLOT_BYTES,
)

READ_BYTES = 4096
KILL_S = 1.0  # for a killed process to end
TAIL_BYTES = 2000  # of its stderr, for the log


class WorkerError(RuntimeError):
    """The process died, hung, or answered what no worker answers. Drawing elsewhere may succeed."""


@dataclass(slots=True, eq=False)
class DrawJob:
    """One frame of the pool."""

    avatar: int  # its number
    shape: tuple[int, ...]  # of the picture
    content: bytes  # `FRAME` and the conditioning
    result: Future[Picture]
    attempts: int = 0


class WorkerProcess:
    """One process. All but `reap` is called with the pool's lock held.

    Requests are answered in their order. At most `DRAW_SLOTS` frames and one load are in flight.
    """

    def __init__(self, settings: str, short_lives: int = 0) -> None:
        self.short_lives = short_lives  # of its predecessors, one after the other
        self._born = time.monotonic()
        self.loaded: set[int] = set()  # numbers of avatars
        self.alive = True
        self._pending: deque[DrawJob | Future[int]] = deque()  # in the order of their answers
        self._slots = list(range(DRAW_SLOTS))  # free ones
        self._loading: int | None = None
        self._partial = b""  # of an answer
        self._stderr = tempfile.TemporaryFile()
        with _anonymous_file() as memory:
            memory.truncate(MEMORY_BYTES)
            self._memory = mmap.mmap(memory.fileno(), MEMORY_BYTES)
            self._connection, theirs = Pipe()
            with theirs:
                descriptors = (theirs.fileno(), memory.fileno())
                self.process = subprocess.Popen(
                    [
                        *(sys.executable, "-m", "lipstream.rendering.puppet.worker"),
                        *(*map(str, descriptors), settings),
                    ],
                    pass_fds=descriptors,
                    stdin=subprocess.DEVNULL,
                    stderr=self._stderr,
                    env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                )
        self.silence = Silence(Path(f"/proc/{self.process.pid}/stat"))

    def fileno(self) -> int:
        """The descriptor to wait on for answers."""
        return self._connection.fileno()

    @property
    def age_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._born

    @property
    def in_flight(self) -> int:
        """Frames that were sent and not answered."""
        return DRAW_SLOTS - len(self._slots)

    @property
    def head(self) -> DrawJob | Future[int] | None:
        """The request that it should be working on."""
        return self._pending[0] if self._pending else None

    def can_draw(self, avatar: int) -> bool:
        """A frame of `avatar` would be drawn next or after the one in hand."""
        free = self.alive and self._loading is None and bool(self._slots)
        return free and avatar in self.loaded

    def load(self, avatar: int, path: str) -> Future[int]:
        """Have the avatar in the file `path` loaded; the result is its number."""
        result: Future[int] = Future()
        result.set_running_or_notify_cancel()
        if not self.alive:
            result.set_exception(WorkerError("a drawing process has ended."))
            return result
        self._loading = avatar
        self._pending.append(result)
        self._send(LOAD, LOAD_SLOT, avatar, os.fsencode(path))
        return result

    def forget(self, avatar: int) -> None:
        """Have the avatar dropped."""
        if avatar in self.loaded:
            self.loaded.remove(avatar)
            self._send(FORGET, LOAD_SLOT, avatar, b"")

    def draw(self, job: DrawJob) -> None:
        """Have a frame drawn; `can_draw` must be true."""
        job.attempts += 1
        self._pending.append(job)
        self._send(DRAW, self._slots.pop(), job.avatar, job.content)

    def read(self) -> list[tuple[DrawJob | Future[int], Picture | int | Exception]]:
        """The answers that have come, each with what it answers. WorkerError when it has ended."""
        try:
            data = os.read(self._connection.fileno(), READ_BYTES)
        except OSError:
            data = b""
        if not data:
            raise WorkerError("a drawing process has died.")
        data = self._partial + data
        whole = len(data) - len(data) % ANSWER.size
        self._partial = data[whole:]
        self.silence.end()
        return [self._answer(*answer) for answer in ANSWER.iter_unpack(data[:whole])]

    def _answer(
        self, kind: bytes, slot: int, size: int
    ) -> tuple[DrawJob | Future[int], Picture | int | Exception]:
        job = self._pending.popleft() if self._pending else None
        if isinstance(job, DrawJob):
            fits = slot < DRAW_SLOTS and slot not in self._slots
            expected = int(np.prod(job.shape))
            fits = fits and (kind != DONE or size == expected)
        else:
            fits = job is not None and slot == LOAD_SLOT
        if job is not None and not fits:
            self._pending.appendleft(job)
        if job is None or not fits or (kind != DONE and size > MAX_TEXT_BYTES):
            raise WorkerError("a drawing process answered a request that was not made.")
        if isinstance(job, DrawJob):
            self._slots.append(slot)
        if kind != DONE:
            start = slot * SLOT_BYTES
            error = _error(kind, self._memory[start : start + size])
            if not isinstance(job, DrawJob):
                self._loading = None
            return job, error
        if isinstance(job, DrawJob):
            drawn = np.frombuffer(self._memory, np.uint8, size, slot * SLOT_BYTES)
            return job, drawn.reshape(job.shape).copy()
        assert self._loading is not None
        number, self._loading = self._loading, None
        self.loaded.add(number)
        return job, number

    def stop(self) -> list[DrawJob | Future[int]]:
        """Let go of it; it ends by itself if it can. Gives what it has not answered."""
        self.alive = False
        self.loaded.clear()
        self._connection.close()
        pending = list(self._pending)
        self._pending.clear()
        return pending

    def reap(self, patience_s: float) -> str:
        """Wait for the end of a stopped process, kill it after `patience_s`; its last words."""
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel
                self.process.wait(KILL_S)
        self._memory.close()
        with self._stderr as file:
            file.seek(max(file.seek(0, os.SEEK_END) - TAIL_BYTES, 0))
            return file.read().decode(errors="replace").strip()

    def _send(self, kind: bytes, slot: int, avatar: int, content: bytes) -> None:
        """A request to a process that has died is lost; the reader notices its end."""
        if len(self._pending) == 1:
            self.silence.end()
        try:
            self._connection.send_bytes(REQUEST.pack(kind, slot, avatar) + content)
        except OSError:
            pass


def _anonymous_file() -> BinaryIO:
    """A file in memory where the system has them; a container's /dev/shm may be too small."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("lipstream-frames"), "r+b")
    return tempfile.TemporaryFile()


def _error(kind: bytes, text: bytes) -> Exception:
    """The error that a worker met."""
    words = text.decode(errors="replace")
    if kind == REFUSED:
        name, _, message = words.partition(":")
        found = getattr(lipstream.errors, name, LipstreamError)
        if isinstance(found, type) and issubclass(found, LipstreamError):
            return found(message)
    return RuntimeError(f"a frame or an avatar could not be processed: {words}")
