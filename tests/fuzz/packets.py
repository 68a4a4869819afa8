"""Several packets in one input: a byte of flags, two of length, so many bytes, and so on."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

HEAD = struct.Struct("!BH")


def packed(packets: Iterable[tuple[int, bytes]]) -> bytes:
    """An input of these (flags, packet)."""
    return b"".join(HEAD.pack(flags, len(data)) + data for flags, data in packets)


def unpacked(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (flags, packet); the last one may be cut short."""
    while len(data) >= HEAD.size:
        flags, length = HEAD.unpack_from(data)
        yield flags, data[HEAD.size : HEAD.size + length]
        data = data[HEAD.size + length :]
