"""One process that draws puppets: `python -m lipstream.rendering.puppet.worker`."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import resource
import signal
import sys
import threading
from fractions import Fraction
from multiprocessing.connection import Connection

import cv2
import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.storage import load_avatar
from lipstream.config import MotionConfig
from lipstream.errors import LipstreamError
from lipstream.rendering.base import FrameRequest, Renderer
from lipstream.rendering.puppet.renderer import PuppetRenderer
from lipstream.rendering.puppet.worker_protocol import (
    ANSWER,
    DONE,
    DRAW,
    FAILED,
    FORGET,
    FRAME,
    LOAD,
    MAX_TEXT_BYTES,
    MEMORY_BYTES,
    MOTIONS,
    REFUSED,
    REQUEST,
    SLOT_BYTES,
)

LOADING_NICENESS = 10
MAX_STDERR_BYTES = 1 << 20


class Worker:
    """Answers one request after the other until the pool closes the connection."""

    def __init__(self, connection: Connection, memory: mmap.mmap, renderer: Renderer) -> None:
        self._connection, self._memory, self._renderer = connection, memory, renderer
        self._avatars: dict[int, Avatar] = {}

    def run(self) -> None:
        """Every request but FORGET has an answer, also when it cannot be done."""
        with contextlib.suppress(EOFError, ConnectionError):  # the pool was closed, or has died
            while True:
                message = self._connection.recv_bytes()
                kind, slot, number = REQUEST.unpack_from(message)
                if kind == FORGET:
                    self._avatars.pop(number, None)
                    continue
                answer, size = self._handle(kind, slot, number, message[REQUEST.size :])
                os.write(self._connection.fileno(), ANSWER.pack(answer, slot, size))

    def _handle(self, kind: bytes, slot: int, number: int, content: bytes) -> tuple[bytes, int]:
        """The kind of the answer, and how many bytes lie in the slot."""
        try:
            if kind == LOAD:
                self._load(number, os.fsdecode(content))
                return DONE, 0
            assert kind == DRAW
            return DONE, self._draw(slot, number, content)
        except LipstreamError as error:
            return REFUSED, self._write(slot, f"{type(error).__name__}:{error}")
        except Exception as error:  # the pool decides what an unforeseen error means
            return FAILED, self._write(slot, f"{type(error).__name__}: {error}")

    def _load(self, number: int, path: str) -> None:
        """Load and measure an avatar at a low priority, so that other workers go on drawing."""
        errors: list[Exception] = []

        def load() -> None:
            try:
                if sys.platform == "linux":  # where each thread has a niceness
                    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOADING_NICENESS)
                avatar = load_avatar(path)
                self._renderer.prepare(avatar)
                self._avatars[number] = avatar
            except Exception as error:  # raised again below
                errors.append(error)

        thread = threading.Thread(target=load, name="load-avatar")
        thread.start()
        thread.join()
        if errors:
            raise errors[0]

    def _draw(self, slot: int, number: int, content: bytes) -> int:
        index, blend_weight, motion = FRAME.unpack_from(content)
        conditioning = np.frombuffer(content, np.float32, offset=FRAME.size)
        request = FrameRequest(
            self._avatars[number],
            index,
            conditioning if len(conditioning) else None,
            blend_weight,
            MOTIONS[motion],
        )
        (picture,) = self._renderer.render([request])
        target = np.frombuffer(self._memory, np.uint8, picture.size, slot * SLOT_BYTES)
        target.reshape(picture.shape)[:] = picture
        return picture.size

    def _write(self, slot: int, text: str) -> int:
        data = text.encode()[:MAX_TEXT_BYTES]
        self._memory[slot * SLOT_BYTES : slot * SLOT_BYTES + len(data)] = data
        return len(data)


def main() -> None:
    """Arguments: descriptors of the connection and of the memory, the settings."""
    # Ctrl-C and a service manager's SIGTERM reach the whole group: the pool's process alone decides
    # when its workers end, which they do when the connection closes.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_STDERR_BYTES, MAX_STDERR_BYTES))
    connection, memory = (int(number) for number in sys.argv[1:3])
    settings = json.loads(sys.argv[3])
    cv2.setNumThreads(1)
    fps, pixel_format = Fraction(settings.pop("fps")), settings.pop("pixel_format")
    renderer = PuppetRenderer(fps, MotionConfig(**settings), pixel_format)
    Worker(Connection(connection), mmap.mmap(memory, MEMORY_BYTES), renderer).run()


if __name__ == "__main__":
    main()
