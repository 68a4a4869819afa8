"""The bytes between a push and its process: a line of JSON, then one record for each unit."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from lipstream.errors import OptionError
from lipstream.media.image import Picture
from lipstream.timeline import UNIT_SAMPLES

HEAD = struct.Struct("<q?HH")  # of a record: index, planes or RGB, width and height of the picture
SOUND_BYTES = 2 * UNIT_SAMPLES
READY = b"ready\n"  # the process says so once its server has taken the stream
SCHEMES = ("rtmp://", "rtmps://")


@dataclass(frozen=True, slots=True)
class PushTarget:
    """The address of a push, which may hold a secret key, and the size of its pictures."""

    url: str = field(repr=False)
    width: int
    height: int

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> PushTarget:
        return cls(**json.loads(line))


def pack(index: int, picture: Picture, sound: NDArray[np.int16]) -> tuple[bytes, ...]:
    """The parts of a record: of a picture as RGB, or as planes."""
    rows, columns = picture.shape[:2]
    head = HEAD.pack(index, picture.ndim == 2, columns, rows)
    return head, picture.tobytes(), sound.astype("<i2").tobytes()


def read_unit(source: BinaryIO) -> tuple[int, Picture, NDArray[np.int16]] | None:
    """The index, the picture and the sound of the next record; None where there is none."""
    if len(head := source.read(HEAD.size)) < HEAD.size:
        return None
    index, planes, columns, rows = HEAD.unpack(head)
    shape = (rows, columns) if planes else (rows, columns, 3)
    size = rows * columns * (1 if planes else 3)
    record = source.read(size + SOUND_BYTES)
    if len(record) < size + SOUND_BYTES:
        return None
    picture = np.frombuffer(record, np.uint8, size).reshape(shape)
    return index, picture, np.frombuffer(record, "<i2", UNIT_SAMPLES, size).astype(np.int16)


def check_push_url(url: str, option: str) -> None:
    """OptionError unless streams can be pushed there. It is not repeated: it may hold a key."""
    found = next((scheme for scheme in SCHEMES if url.startswith(scheme)), None)
    if found is None or len(url) == len(found) or not url.isascii() or not url.isprintable():
        raise OptionError(
            f"{option} is no address of a stream; write rtmp://example.org/live/key, or the "
            "https:// of an endpoint of WHIP."
        )
