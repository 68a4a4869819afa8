"""A JPEG of more scans than any encoder writes is refused before it is decoded."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from lipstream.errors import PictureError
from lipstream.media.pictures.jpeg_scans import MAX_SCANS, check_scans, scan_count


def jpeg(**options: object) -> bytes:
    file = io.BytesIO()
    Pillow.effect_noise((64, 48), 90).convert("RGB").save(file, "JPEG", **options)
    return file.getvalue()


def with_scans(count: int) -> bytes:
    """A progressive file whose last scan comes again and again."""
    data = jpeg(progressive=True)
    last = data.rindex(b"\xff\xda")
    end = data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * (count - scan_count(data)) + data[end:]


def test_usual_files_have_few_scans() -> None:
    assert scan_count(jpeg()) == 1
    assert 2 <= scan_count(jpeg(progressive=True)) <= 12
    assert scan_count(with_scans(MAX_SCANS)) == MAX_SCANS


def test_what_looks_like_a_scan_within_a_segment_is_none() -> None:
    data = jpeg()
    comment = b"\xff\xfe" + struct.pack(">H", 402) + b"\xff\xda" * 200
    assert scan_count(data[:2] + comment + data[2:] + b"\xff\xda" * 200) == 1


def test_too_many_are_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "scans.jpg"
    path.write_bytes(with_scans(MAX_SCANS + 1))
    with pytest.raises(PictureError, match="scans.jpg has more than 100 scans"):
        check_scans(path)
    path.write_bytes(with_scans(MAX_SCANS))
    check_scans(path)


@given(st.binary(max_size=300))
def test_any_bytes_have_a_number_of_scans(data: bytes) -> None:
    assert 0 <= scan_count(b"\xff\xd8" + data) <= MAX_SCANS + 1
