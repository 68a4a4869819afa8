"""The layout of a HEIF picture: which coded pictures lie where, and how the whole is turned."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO

from lipstream.media.pictures.heif.index import Index

CODED = (b"hvc1", b"hev1", b"av01", b"avc1")  # what a video decoder reads
ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
CHANGES = (b"clap", b"irot", b"imir")
MAX_TILES = 1024


@dataclass(frozen=True, slots=True)
class Codes:
    """The colours of a picture by ITU-T H.273."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture of `rows` x `columns` coded items of one size, given row by row."""

    items: tuple[int, ...]
    columns: int
    tile: tuple[int, int]  # (width, height) of each
    size: tuple[int, int]  # (width, height) of the whole, before it is turned
    changes: tuple[tuple[bytes, bytes], ...]  # b"clap", b"irot", b"imir" and content, in order
    profile: bytes | None  # ICC
    codes: Codes | None  # None: those that the coded pictures name

    @property
    def rows(self) -> int:
        return len(self.items) // self.columns


def primary_layout(index: Index, file: IO[bytes]) -> Layout:
    """The layout of the picture that is to be shown; SyntaxError for one of an unknown kind."""
    return _layout(index, index.primary, file)


def alpha_layout(index: Index, file: IO[bytes]) -> Layout | None:
    """The layout of the opacity of that picture, if it has one."""
    for (kind, item), targets in index.references.items():
        declared = (index.property(item, b"auxC") or b"")[4:]
        if kind == b"auxl" and index.primary in targets and declared.startswith(ALPHA):
            return _layout(index, item, file)
    return None


def _layout(index: Index, item: int, file: IO[bytes]) -> Layout:
    kind = index.kinds[item]
    changes = [one for one in index.properties.get(item, []) if one[0] in CHANGES]
    size = _size(index, item)
    columns, items = 1, [item]
    if kind == b"grid":
        columns, items, size = _grid(index, item, index.content(item, file))
    if not items or any(index.kinds[one] not in CODED for one in items):
        raise SyntaxError(f"a picture of the kind {kind!r} cannot be put together")
    tile = _size(index, items[0])
    rows = len(items) // columns
    if min(*tile, *size) < 1 or tile[0] * columns < size[0] or tile[1] * rows < size[1]:
        raise SyntaxError("the tiles do not fill the picture")
    colours = [*_colours(index, item), *_colours(index, items[0])]
    profile = next((data[4:] for data in colours if data[:4] in (b"prof", b"rICC")), None)
    named = next((data[4:] for data in colours if data[:4] == b"nclx"), None)
    codes = None
    if named is not None:
        primaries, transfer, matrix, flags = struct.unpack_from(">3HB", named)
        codes = Codes(primaries, transfer, matrix, flags >> 7 == 1)
    return Layout(tuple(items), columns, tile, size, tuple(changes), profile, codes)


def _grid(index: Index, item: int, content: bytes) -> tuple[int, list[int], tuple[int, int]]:
    """Columns, items and size of a grid."""
    _, flags, rows, columns = struct.unpack_from(">4B", content)
    width, height = struct.unpack_from(">2I" if flags & 1 else ">2H", content, 4)
    rows, columns = rows + 1, columns + 1
    items = index.references[b"dimg", item]
    if len(items) != rows * columns or len(items) > MAX_TILES:
        raise SyntaxError(f"of {rows * columns} tiles {len(items)} are named")
    return columns, items, (width, height)


def _size(index: Index, item: int) -> tuple[int, int]:
    extent = index.property(item, b"ispe")
    if extent is None:
        raise SyntaxError("a picture does not name its size")
    width, height = struct.unpack_from(">2I", extent, 4)
    return width, height


def _colours(index: Index, item: int) -> list[bytes]:
    return [data for name, data in index.properties.get(item, []) if name == b"colr"]
