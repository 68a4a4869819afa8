"""The boxes of which mp4, mov and HEIF files are made (ISO/IEC 14496-12, 4.2).

What breaks off or contradicts itself raises SyntaxError or struct.error.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

MAX_BOX = 64 << 20  # bytes that are read; the index of an hour of film has some millions


def find_box(file: IO[bytes], kind: bytes) -> bytes:
    """The content of the file's first box of a kind, none of the boxes around it."""
    place = 0
    while True:
        file.seek(place)
        head = file.read(16)
        size, found = struct.unpack_from(">I4s", head)
        start = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, 8)
            start = 16
        if found == kind:
            if not start <= size <= MAX_BOX:
                raise SyntaxError("the index is too large")
            file.seek(place + start)
            return file.read(size - start)
        if size < start or size >= 1 << 62:
            raise SyntaxError("there is no index")
        place += size


def split_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kind and content of each box in a row."""
    place = 0
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        if size < 8 or place + size > len(data):
            raise SyntaxError("a box is larger than what holds it")
        yield kind, data[place + 8 : place + size]
        place += size
