"""The index of a HEIF file: its items, what they are made of, and how they are to be shown.

By ISO/IEC 14496-12 (8.11) and 23008-12 (6, 9). Files that break off or contradict themselves raise
SyntaxError, struct.error or LookupError.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import IO

from lipstream.media.boxes import find_box, split_boxes

MAX_CONTENT = 16 << 20  # bytes of an item
MAX_EXTENTS = 1 << 16  # of all items; they may be of no bytes, so the index alone bounds nothing


@dataclass(slots=True)
class Index:
    """The items of a file by their number."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)  # b"hvc1", b"grid", b"Exif", ...
    # (b"dimg" made of, b"auxl" auxiliary to, ...; the item) -> the items it refers to
    references: dict[tuple[bytes, int], list[int]] = field(default_factory=dict)
    properties: dict[int, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    # Content inside the index itself, and places in the file: (offset, length)
    inner: bytes = b""
    places: dict[int, tuple[bool, list[tuple[int, int]]]] = field(default_factory=dict)

    def property(self, item: int, kind: bytes) -> bytes | None:
        """The content of an item's first property of a kind."""
        return next((data for name, data in self.properties.get(item, []) if name == kind), None)

    def content(self, item: int, file: IO[bytes]) -> bytes:
        """The bytes of an item, of which `MAX_CONTENT` are read at most."""
        inside, extents = self.places[item]
        source = io.BytesIO(self.inner) if inside else file
        content = bytearray()
        for offset, length in extents:
            source.seek(offset)
            content += source.read(min(length, MAX_CONTENT - len(content)))
        return bytes(content)


def read_index(file: IO[bytes]) -> Index:
    """The index of the file, wherever it is in it."""
    index = Index()
    for kind, data in split_boxes(find_box(file, b"meta")[4:]):
        if kind == b"pitm":
            index.primary = _Fields(data).number(2 if data[0] == 0 else 4, skip=4)
        elif kind == b"iinf":
            _read_kinds(index, data)
        elif kind == b"iref":
            _read_references(index, data)
        elif kind == b"iprp":
            _read_properties(index, data)
        elif kind == b"iloc":
            _read_places(index, data)
        elif kind == b"idat":
            index.inner = data
    return index


class _Fields:
    """Reads big-endian numbers of any number of bytes, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def number(self, length: int, skip: int = 0) -> int:
        start = self._place + skip
        self._place = start + length
        if self._place > len(self._data):
            raise SyntaxError("a box breaks off")
        return int.from_bytes(self._data[start : self._place], "big")


def _read_kinds(index: Index, data: bytes) -> None:
    entries = data[6 if data[0] == 0 else 8 :]
    for kind, entry in split_boxes(entries):
        if kind == b"infe" and entry[0] >= 2:
            width = 2 if entry[0] == 2 else 4
            item = _Fields(entry).number(width, skip=4)
            index.kinds[item] = entry[6 + width : 10 + width]


def _read_references(index: Index, data: bytes) -> None:
    width = 2 if data[0] == 0 else 4
    for kind, entry in split_boxes(data[4:]):
        fields = _Fields(entry)
        source, count = fields.number(width), fields.number(2)
        index.references[kind, source] = [fields.number(width) for _ in range(count)]


def _read_properties(index: Index, data: bytes) -> None:
    parts = list(split_boxes(data))
    known = [one for kind, part in parts if kind == b"ipco" for one in split_boxes(part)]
    for kind, part in parts:
        if kind != b"ipma":
            continue
        fields = _Fields(part)
        version, flags = fields.number(1), fields.number(3)
        width, wide = (2 if version == 0 else 4), flags & 1
        for _ in range(fields.number(4)):
            item, count = fields.number(width), fields.number(1)
            numbers = [fields.number(2 if wide else 1) for _ in range(count)]
            # The highest bit says that a reader must know the property; 0 stands for none.
            numbers = [number & (0x7FFF if wide else 0x7F) for number in numbers]
            index.properties[item] = [known[number - 1] for number in numbers if number]


def _read_places(index: Index, data: bytes) -> None:
    fields = _Fields(data)
    version = fields.number(1)
    sizes = fields.number(2, skip=3)
    offset, length, base, extra = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    total = 0
    for _ in range(fields.number(2 if version < 2 else 4)):
        item = fields.number(2 if version < 2 else 4)
        inside = version > 0 and fields.number(2) & 15 == 1
        start = fields.number(base, skip=2)
        extents = []
        count = fields.number(2)
        total += count
        if total > MAX_EXTENTS:
            raise SyntaxError("the items are in too many pieces")
        for _ in range(count):
            if version > 0:
                fields.number(extra)
            extents.append((start + fields.number(offset), fields.number(length)))
        index.places[item] = (inside, extents)
