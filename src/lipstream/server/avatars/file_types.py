"""The type of a file by its first bytes. Its name and declared type may only say sight or sound."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal, get_args

FileType = Literal["image", "video", "audio"]

HEAD_BYTES = 64  # that are looked at
IMAGES = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM"),
    *(b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  \r\n\x87\n"),  # TIFF, JPEG 2000
)
# ISO 23008-12: pictures in the container of mp4, and sequences of them.
PICTURE_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif")
SEQUENCE_BRANDS = (b"hevc", b"hevx", b"msf1", b"avis")
CONTAINERS = (b"\x1aE\xdf\xa3", b"OggS", b"FLV\x01", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")
MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
SOUNDS = (b"fLaC", b"ID3", b"FORM", b".snd", b"caff", b"#!AMR", b"riff", b"MAC ", b"wvpk")
SUFFIXES: dict[str, FileType] = {
    **dict.fromkeys(("png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"), "image"),
    **dict.fromkeys(("heic", "heif", "avif", "jp2"), "image"),
    **dict.fromkeys(("mp4", "mov", "webm", "mkv", "avi", "m4v", "mpg", "mpeg"), "video"),
    **dict.fromkeys(("wav", "mp3", "flac", "ogg", "opus", "m4a", "aac", "aiff"), "audio"),
}
RIFF_FORMS: dict[bytes, tuple[FileType, ...]]
RIFF_FORMS = {b"WEBP": ("image",), b"WAVE": ("audio",), b"AVI ": ("video",)}
# A container may hold either; which of them it is shows only when it is opened.
EITHER: tuple[FileType, ...] = ("video", "audio")
SEEN: tuple[FileType, ...] = ("image", "video")


def detect_types(head: bytes) -> tuple[FileType, ...]:
    """The types that a file with this beginning can have; none for anything but known media."""
    if head[:4] == b"RIFF":
        return RIFF_FORMS.get(head[8:12], ())
    if head[4:8] == b"ftyp" and head[8:12] in (*PICTURE_BRANDS, *SEQUENCE_BRANDS):
        return ("image",) if head[8:12] in PICTURE_BRANDS else SEEN
    if head[4:8] in MP4_BOXES or head.startswith(CONTAINERS):
        return EITHER
    if head.startswith(IMAGES):
        return ("image",)
    if head.startswith(SOUNDS):
        return ("audio",)
    if head[:1] == b"\x47" and len(head) > 4:
        return EITHER  # MPEG transport stream
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return ("audio",)  # MPEG audio and AAC without a container
    return ()


def claimed_types(name: str, content_type: str | None) -> set[FileType]:
    """The types that the suffix of the name and the declared type stand for.

    Picture and clip are one claim: programs rename what they save, and every viewer opens it.
    """
    family = (content_type or "").partition("/")[0].lower()
    by_suffix = SUFFIXES.get(PurePath(name).suffix.lower().removeprefix("."))
    found = {known for known in get_args(FileType) if known in (family, by_suffix)}
    return found | {*SEEN} if found & {*SEEN} else found
