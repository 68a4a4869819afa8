"""HEIF photographs in tiles, as phones write them (ISO/IEC 23008-12), for tests."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from lipstream.media.image import Image
from lipstream.media.pictures.heif.index import read_index


def box(kind: bytes, *content: bytes) -> bytes:
    """A box of the container of mp4."""
    data = b"".join(content)
    return struct.pack(">I4s", len(data) + 8, kind) + data


def write_tiles(path: Path, image: Image, tile: int, change: bytes = b"") -> Path:
    """`image` in square tiles, each coded alone; the box `change` says how the whole is turned."""
    rows, columns = -(-image.shape[0] // tile), -(-image.shape[1] // tile)
    beyond = rows * tile - image.shape[0], columns * tile - image.shape[1]
    full = np.pad(image, ((0, beyond[0]), (0, beyond[1]), (0, 0)), "edge")
    coded = [
        _coded(full[row * tile :, column * tile :][:tile, :tile])
        for row in range(rows)
        for column in range(columns)
    ]
    grid = struct.pack(">4B2H", 0, 0, rows - 1, columns - 1, *image.shape[1::-1])
    parts, codec = [content for content, _ in coded], coded[0][1]
    head = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    sizes = ((tile, tile), image.shape[1::-1])
    extents = [box(b"ispe", struct.pack(">3I", 0, *size)) for size in sizes]
    properties = b"".join([extents[0], box(b"av1C", codec), extents[1], change])
    start = len(head) + len(_meta(parts, grid, properties, 0, bool(change))) + 8
    meta = _meta(parts, grid, properties, start, bool(change))
    path.write_bytes(head + meta + box(b"mdat", *parts))
    return path


def _coded(tile: Image) -> tuple[bytes, bytes]:
    """A picture as AV1, and what its decoder must know."""
    file = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(tile)).save(file, "AVIF", quality=95)
    index = read_index(file)
    codec = index.property(index.primary, b"av1C")
    assert codec is not None
    return index.content(index.primary, file), codec


def _meta(parts: list[bytes], grid: bytes, properties: bytes, start: int, changed: bool) -> bytes:
    """The index; the first part lies at `start`. The grid is the last item."""
    last = len(parts) + 1
    infos = [(item, b"av01") for item in range(1, last)] + [(last, b"grid")]
    places = b""
    for item, part in enumerate(parts, 1):
        places += struct.pack(">4H2I", item, 0, 0, 1, start, len(part))
        start += len(part)
    places += struct.pack(">4H2I", last, 1, 0, 1, 0, len(grid))  # inside the index
    uses = [struct.pack(">H3B", item, 2, 1, 2) for item in range(1, last)]
    uses.append(struct.pack(">H3B", last, 2, 3, 4) if changed else struct.pack(">H2B", last, 1, 3))
    made_of = struct.pack(f">{last + 1}H", last, last - 1, *range(1, last))
    entries = [
        box(b"infe", struct.pack(">IHH4sB", 2 << 24, item, 0, kind, 0)) for item, kind in infos
    ]
    return box(
        b"meta",
        bytes(4),
        box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
        box(b"pitm", struct.pack(">IH", 0, last)),
        box(b"iloc", struct.pack(">IHH", 1 << 24, 0x4400, last), places),
        box(b"iinf", struct.pack(">IH", 0, last), *entries),
        box(b"iref", bytes(4), box(b"dimg", made_of)),
        box(b"iprp", box(b"ipco", properties), box(b"ipma", struct.pack(">II", 0, last), *uses)),
        box(b"idat", grid),
    )
