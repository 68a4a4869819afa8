"""What a file is, by its first bytes; names and declared types only show who lies."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

Kind = Literal["image", "video", "audio"]

HEAD = 64  # bytes that tell
IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM")
VIDEOS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")
SOUNDS = (b"fLaC", b"ID3", b"FORM", b".snd", b"caff", b"#!AMR", b"riff", b"MAC ", b"wvpk")
SUFFIXES: dict[str, Kind] = {
    **dict.fromkeys(("png", "jpg", "jpeg", "webp", "bmp", "gif"), "image"),
    **dict.fromkeys(("mp4", "mov", "webm", "mkv", "avi", "m4v", "mpg", "mpeg"), "video"),
    **dict.fromkeys(("wav", "mp3", "flac", "ogg", "opus", "m4a", "aac", "aiff"), "audio"),
}
# A container may hold either; which of them it is shows only when it is opened.
EITHER: tuple[Kind, ...] = ("video", "audio")


def kinds(head: bytes) -> tuple[Kind, ...]:
    """What a file that begins with `head` can be; nothing when it is no media file we know."""
    if head[:4] == b"RIFF":
        forms: dict[bytes, tuple[Kind, ...]] = {
            b"WEBP": ("image",),
            b"WAVE": ("audio",),
            b"AVI ": ("video",),
        }
        return forms.get(head[8:12], ())
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return EITHER
    if head.startswith(b"OggS") or head.startswith(VIDEOS[0]):
        return EITHER
    for signs, kind in ((IMAGES, "image"), (VIDEOS, "video"), (SOUNDS, "audio")):
        if head.startswith(signs):
            return EITHER if kind == "video" else (kind,)  # type: ignore[return-value]
    if head[:1] == b"\x47" and len(head) > 4:
        return EITHER  # MPEG transport stream
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return ("audio",)  # MPEG audio and AAC without a container
    return ()


def claimed(name: str, content_type: str | None) -> set[Kind]:
    """What the name's end and the declared type say it is."""
    said: set[Kind] = set()
    family = (content_type or "").partition("/")[0].lower()
    if family in ("image", "video", "audio"):
        said.add(family)  # type: ignore[arg-type]
    if suffix := SUFFIXES.get(PurePath(name).suffix.lower().removeprefix(".")):
        said.add(suffix)
    return said
