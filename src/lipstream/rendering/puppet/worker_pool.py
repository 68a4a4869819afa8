"""Puppets drawn in processes of their own, for live sessions.

A frame is a hundred short calls, and Python's lock is held between them. Drawn in the process that
also sends to viewers, each waits for the other: two cores then hold four sessions where they have
the time for seven.
"""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

import lipstream.errors
from lipstream.avatar.avatar import Avatar
from lipstream.avatar.storage import save_avatar
from lipstream.config import MotionConfig
from lipstream.errors import LipstreamError
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.puppet.worker import DONE, DRAW, FORGET, FRAME, LOAD, NUMBER, REFUSED

if TYPE_CHECKING:
    from lipstream.config import Progress
    from lipstream.media.image import Image

PAPER = 64 << 20  # bytes for one picture; untouched memory costs nothing
MEMORY = "/dev/shm"  # where it lies if there is such a place
CLOSE_S = 5.0


def possible() -> bool:
    """Whether this system can hand open files to another process."""
    return os.name == "posix"


class PuppetWorkerPool:
    """A renderer whose pictures come from `count` processes. Calls from several threads queue.

    A process that dies is started again; the frame it was drawing fails.
    """

    def __init__(self, fps: Fraction, motion: MotionConfig, count: int) -> None:
        self._settings = json.dumps({"fps": str(fps), **asdict(motion)})
        self._lock = threading.Lock()
        self._numbers: weakref.WeakKeyDictionary[Avatar, int] = weakref.WeakKeyDictionary()
        self._next = 1
        self._gone: deque[int] = deque()  # numbers of avatars that nobody holds any more
        self._children = [WorkerProcess(self._settings) for _ in range(count)]

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        """Let every process measure `avatar`; FaceError and the like as any renderer."""
        with self._lock:
            if avatar not in self._numbers:
                self._introduce(avatar)
            return avatar

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        """One picture per request, as many at a time as there are processes."""
        with self._lock:
            for request in requests:
                if request.avatar not in self._numbers:
                    self._introduce(request.avatar)
            self._forget()
            pictures: list[Image] = []
            for start in range(0, len(requests), len(self._children)):
                pictures += self._draw(requests[start : start + len(self._children)])
            return pictures

    def close(self) -> None:
        """End the processes. May be called twice."""
        with self._lock:
            for child in self._children:
                child.close()

    def _draw(self, requests: Sequence[FrameRequest]) -> list[Image]:
        """At most one request per process."""
        busy = list(zip(self._children, requests, strict=False))
        orders = [(child, self._order(request)) for child, request in busy]
        self._do(orders)
        return [child.picture(*request.avatar.size) for child, request in busy]

    def _order(self, request: FrameRequest) -> bytes:
        number = self._numbers[request.avatar]
        heard = request.conditioning
        tail = b"" if heard is None else np.asarray(heard, np.float32).tobytes()
        return DRAW + FRAME.pack(number, request.index, request.blend_weight) + tail

    def _introduce(self, avatar: Avatar) -> None:
        number, self._next = self._next, self._next + 1
        self._load(self._children, avatar, number)
        self._numbers[avatar] = number
        weakref.finalize(avatar, self._gone.append, number)

    def _load(self, children: Sequence[WorkerProcess], avatar: Avatar, number: int) -> None:
        """By a file, as avatars are kept: nothing is unpickled anywhere."""
        with tempfile.TemporaryDirectory(prefix="lipstream-") as place:
            path = Path(place) / "worker.avatar"
            save_avatar(avatar, path)
            self._do([(one, LOAD + NUMBER.pack(number) + os.fsencode(path)) for one in children])

    def _forget(self) -> None:
        while self._gone:
            message = FORGET + NUMBER.pack(self._gone.popleft())
            for child in self._children:
                child.send(message)

    def _do(self, orders: Sequence[tuple[WorkerProcess, bytes]]) -> None:
        """Have the orders done side by side; raises the first error when all have answered."""
        for child, order in orders:
            child.send(order)
        answers = [child.answer() for child, _ in orders]
        for (child, _), answer in zip(orders, answers, strict=True):
            if answer is None:
                self._restart(child)
                raise RuntimeError("a process that draws has died; it was started again.")
        for answer in answers:
            if answer is not None and answer[:1] != DONE:
                _complain(answer)

    def _restart(self, dead: WorkerProcess) -> None:
        dead.close()
        child = self._children[self._children.index(dead)] = WorkerProcess(self._settings)
        for avatar, number in list(self._numbers.items()):
            self._load([child], avatar, number)


class WorkerProcess:
    """One process, the connection to it, and the memory in which it draws."""

    def __init__(self, settings: str) -> None:
        place = MEMORY if os.path.isdir(MEMORY) else None
        with tempfile.TemporaryFile(dir=place) as memory:
            memory.truncate(PAPER)
            self._paper = mmap.mmap(memory.fileno(), PAPER)
            self._connection, theirs = Pipe()
            with theirs:
                self._process = _start(theirs, memory.fileno(), settings)

    def send(self, message: bytes) -> None:
        """A message to a dead process is lost; its answer tells."""
        try:
            self._connection.send_bytes(message)
        except OSError:
            pass

    def answer(self) -> bytes | None:
        """None when the process is dead."""
        try:
            return self._connection.recv_bytes()
        except (EOFError, OSError):
            return None

    def picture(self, width: int, height: int) -> Image:
        """A copy of what was drawn last."""
        size = width * height * 3
        drawn = np.frombuffer(self._paper, np.uint8, size)
        return drawn.reshape(height, width, 3).copy()

    def close(self) -> None:
        self._connection.close()
        try:
            self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if not self._paper.closed:
            self._paper.close()


def _start(connection: Connection, memory: int, settings: str) -> subprocess.Popen[bytes]:
    descriptors = (connection.fileno(), memory)
    command = [sys.executable, "-m", "lipstream.rendering.puppet.worker"]
    return subprocess.Popen(
        [*command, *map(str, descriptors), str(PAPER), settings],
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


def _complain(answer: bytes) -> NoReturn:
    text = answer[1:].decode()
    if answer[:1] == REFUSED:
        name, _, message = text.partition(":")
        kind = getattr(lipstream.errors, name, LipstreamError)
        raise kind(message)
    raise RuntimeError(f"a process that draws failed: {text}")
