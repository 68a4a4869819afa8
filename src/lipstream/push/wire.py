"""The bytes between a push and its process: a line of JSON, then one record for each unit."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from lipstream.errors import OptionError
from lipstream.media.image import Image
from lipstream.timeline import UNIT_SAMPLES

INDEX = struct.Struct("<q")
SOUND_BYTES = 2 * UNIT_SAMPLES
READY = b"ready\n"  # the process says so once its server has taken the stream
SCHEMES = ("rtmp://", "rtmps://")


@dataclass(frozen=True, slots=True)
class PushTarget:
    """The address of a push, which may hold a secret key, and the size of its pictures."""

    url: str
    width: int
    height: int

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> PushTarget:
        return cls(**json.loads(line))

    @property
    def record_bytes(self) -> int:
        """The bytes of a unit: its index, its picture, its sound."""
        return INDEX.size + 3 * self.width * self.height + SOUND_BYTES

    def unpack(self, record: bytes) -> tuple[int, Image, NDArray[np.int16]]:
        """The index, the picture and the sound of a record."""
        (index,) = INDEX.unpack_from(record)
        pixels = np.frombuffer(record, np.uint8, 3 * self.width * self.height, INDEX.size)
        sound = np.frombuffer(record, "<i2", UNIT_SAMPLES, len(record) - SOUND_BYTES)
        return index, pixels.reshape(self.height, self.width, 3), sound.astype(np.int16)


def pack(index: int, picture: Image, sound: NDArray[np.int16]) -> tuple[bytes, bytes, bytes]:
    """The parts of a record."""
    return INDEX.pack(index), picture.tobytes(), sound.astype("<i2").tobytes()


def check_push_url(url: str, option: str) -> None:
    """OptionError unless streams can be pushed there. It is not repeated: it may hold a key."""
    found = next((scheme for scheme in SCHEMES if url.startswith(scheme)), None)
    if found is None or len(url) == len(found) or not url.isascii() or not url.isprintable():
        raise OptionError(f"{option} is no address of a stream; write rtmp://example.org/live/key.")
