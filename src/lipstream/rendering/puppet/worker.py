"""One process that draws puppets for another one: `python -m lipstream.rendering.puppet.worker`.

Messages come and go over one connection, pictures over shared memory. `processes.py` is the other
end and says what a message is.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import signal
import sys
from fractions import Fraction
from multiprocessing.connection import Connection
from struct import Struct
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lipstream.avatar.storage import load_avatar
from lipstream.config import MotionConfig
from lipstream.errors import LipstreamError
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.puppet.renderer import PuppetRenderer

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar

LOAD, FORGET, DRAW = b"L", b"F", b"D"  # a message's first byte
DONE, REFUSED, FAILED = b"D", b"R", b"F"  # an answer's
NUMBER = Struct("<I")  # of an avatar
FRAME = Struct("<IIf")  # avatar, index, strength; then the conditioning as float32, if any


class Worker:
    """Answers messages until the other end hangs up."""

    def __init__(self, connection: Connection, paper: mmap.mmap, renderer: PuppetRenderer) -> None:
        self._connection, self._paper, self._renderer = connection, paper, renderer
        self._avatars: dict[int, Avatar] = {}

    def run(self) -> None:
        """Every message but FORGET has an answer, also when it cannot be done."""
        with contextlib.suppress(EOFError, ConnectionError):  # the other end has gone
            while True:
                message = self._connection.recv_bytes()
                kind, content = message[:1], message[1:]
                if kind == FORGET:
                    self._avatars.pop(NUMBER.unpack(content)[0], None)
                else:
                    self._connection.send_bytes(self._answer(kind, content))

    def _answer(self, kind: bytes, content: bytes) -> bytes:
        try:
            self._load(content) if kind == LOAD else self._draw(content)
        except LipstreamError as error:
            return REFUSED + f"{type(error).__name__}:{error}".encode()
        except Exception as error:  # the other end decides what an unforeseen error means
            return FAILED + f"{type(error).__name__}: {error}".encode()
        return DONE

    def _load(self, content: bytes) -> None:
        (number,) = NUMBER.unpack_from(content)
        avatar = load_avatar(content[NUMBER.size :].decode())
        self._renderer.prepare(avatar)
        self._avatars[number] = avatar

    def _draw(self, content: bytes) -> None:
        number, index, strength = FRAME.unpack_from(content)
        heard = np.frombuffer(content, np.float32, offset=FRAME.size)
        request = FrameRequest(
            self._avatars[number], index, heard if len(heard) else None, strength
        )
        (picture,) = self._renderer.render([request])
        paper = np.frombuffer(self._paper, np.uint8, picture.size)
        paper.reshape(picture.shape)[:] = picture


def main() -> None:
    """Arguments: descriptors of the connection and of the memory, its size, the settings."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other end, which hangs up
    connection, memory, size = (int(number) for number in sys.argv[1:4])
    settings = json.loads(sys.argv[4])
    cv2.setNumThreads(1)
    renderer = PuppetRenderer(Fraction(settings.pop("fps")), MotionConfig(**settings))
    Worker(Connection(connection), mmap.mmap(memory, size), renderer).run()


if __name__ == "__main__":
    main()
