"""An index of a HEIF file takes no more time and memory than its bounds allow."""

from __future__ import annotations

import io
import struct

import pytest

from lipstream.media.pictures.heif.index import MAX_CONTENT, Index, read_index
from tests.heif_files import box


@pytest.mark.parametrize("inside", [False, True])
def test_an_item_of_many_pieces_is_read_to_its_bound(inside: bool) -> None:
    data = bytes(1 << 20)
    index = Index(inner=data, places={1: (inside, [(0, len(data))] * 40)})
    assert len(index.content(1, io.BytesIO(data))) == MAX_CONTENT


def test_an_item_of_several_pieces_is_joined() -> None:
    index = Index(places={1: (False, [(4, 2), (0, 3)])})
    assert index.content(1, io.BytesIO(b"abcdef")) == b"efabc"


def test_pieces_without_end_are_refused() -> None:
    """65,535 pieces of no bytes take six bytes of the index."""
    items = 2_000
    empty = struct.pack(">3H", 1, 0, 0xFFFF) * items
    places = box(b"iloc", struct.pack(">IHH", 0, 0, items), empty)
    with pytest.raises(SyntaxError, match="too many pieces"):
        read_index(io.BytesIO(box(b"meta", bytes(4), places)))
