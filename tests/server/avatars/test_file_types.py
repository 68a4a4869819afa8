"""The type of a file is that of its first bytes."""

from __future__ import annotations

import pytest

from lipstream.server.avatars.file_types import claimed_types, detect_types


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"\x89PNG\r\n\x1a\n", {"image"}),
        (b"\xff\xd8\xff\xe0", {"image"}),
        (b"GIF89a", {"image"}),
        (b"BM6\x00", {"image"}),
        (b"II*\0\x08\0\0\0", {"image"}),
        (b"MM\0*\0\0\0\x08", {"image"}),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", {"image"}),
        (b"\0\0\0\x20ftypavif\0\0\0\0", {"image"}),
        (b"\0\0\0\x20ftypavis\0\0\0\0", {"image", "video"}),
        (b"RIFF\0\0\0\0WEBPVP8 ", {"image"}),
        (b"RIFF\0\0\0\0WAVEfmt ", {"audio"}),
        (b"RIFF\0\0\0\0AVI LIST", {"video"}),
        (b"RIFF\0\0\0\0ACON", set()),
        (b"\0\0\0\x20ftypisom", {"audio", "video"}),
        (b"\x1aE\xdf\xa3", {"audio", "video"}),
        (b"OggS\0", {"audio", "video"}),
        (b"G@\x00\x10\x00", {"audio", "video"}),
        (b"fLaC\0", {"audio"}),
        (b"ID3\x04", {"audio"}),
        (b"\xff\xfb\x90\x00", {"audio"}),
        (b"\xff\xf1\x50", {"audio"}),
        (b"", set()),
        (b"\xff", set()),
        (b"<html>", set()),
        (b"#!/bin/sh", set()),
        (b"PK\x03\x04", set()),
        (b"%PDF-1.7", set()),
        (b"#EXTM3U", set()),
        (b"ffconcat version 1.0", set()),
    ],
)
def test_first_bytes(head: bytes, found: set[str]) -> None:
    assert set(detect_types(head)) == found


@pytest.mark.parametrize(
    ("name", "content_type", "claimed"),
    [
        ("a.png", None, {"image", "video"}),
        ("a.PNG", "image/jpeg", {"image", "video"}),
        ("a.mp4", "image/png", {"image", "video"}),
        ("a", "application/octet-stream", set()),
        ("a.txt", "text/plain", set()),
        ("mp4", "", set()),
        ("a.b.wav", "AUDIO/wav; codecs=1", {"audio"}),
    ],
)
def test_names_and_types(name: str, content_type: str | None, claimed: set[str]) -> None:
    assert claimed_types(name, content_type) == claimed
