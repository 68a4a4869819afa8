"""A prepared avatar as one file: saved whole or not at all, loaded exactly or refused.

An .avatar file is a zip archive whose entries are stored uncompressed:

    manifest.json        format, digest, report, shots, and size and SHA-256 of every other entry
    landmarks.npy        (frames, 468, 2) float32, NaN where no face was found
    frames/000000.png    a picture's frame, lossless
    frames/000000.jpg    a clip's frames, the very bytes the avatar holds
    musetalk/mask.npy    an array that the backend `musetalk` prepared; often none

Nothing is unpacked to the disk, and nothing in the file is executed: arrays are read without
pickle. The archive's directory is checked before an entry is read: its entries are those of the
manifest, have the sizes named there and together are no larger than the file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from lipstream.avatar.archive import FORMAT, KINDS, MANIFEST, VERSION, Archive
from lipstream.avatar.avatar import Avatar, AvatarFrame, QualityReport, encode_picture
from lipstream.avatar.face.landmarks import POINTS, is_face
from lipstream.errors import ArchiveError, OutputError, reason_of
from lipstream.media.input_path import opened
from lipstream.media.output_path import replacing
from lipstream.timeline import MAX_FPS, MIN_FPS

SUFFIX = ".avatar"
LANDMARKS = "landmarks.npy"
ARRAY = re.compile(r"([a-z][a-z0-9_]{0,31})/([a-z][a-z0-9_]{0,31})\.npy")
RATE = re.compile(r"[0-9]{1,9}(/[1-9][0-9]{0,8})?")  # frames per second
MAX_PIXELS = 100_000_000  # of one frame


def is_avatar(path: Path) -> bool:
    """Tell a prepared avatar from a picture or clip; a folder is one of an older version."""
    return path.suffix.lower() == SUFFIX or os.path.isdir(path)


def save_avatar(avatar: Avatar, path: str | Path) -> None:
    """Write the avatar to `path`, which ends in .avatar; an older file there is replaced at once.

    OptionError for another ending, OutputError when the file cannot be written. The same avatar
    gives the same bytes.
    """
    path = Path(path)
    try:
        with replacing(path, SUFFIX) as file:
            with zipfile.ZipFile(file, "w", allowZip64=False) as archive:
                _write(avatar, archive)
    except zipfile.LargeZipFile as error:
        raise OutputError(
            f"{path} would be larger than 2 GB; prepare a shorter clip or a smaller picture."
        ) from error


def load_avatar(path: str | Path) -> Avatar:
    """Read what `save_avatar` wrote; ArchiveError unless every byte is as it was."""
    path = Path(path)
    if os.path.isdir(path):
        raise ArchiveError(
            f"{path} is a folder, as older versions made them of avatars; prepare the picture or "
            "clip again with 'lipstream prepare PICTURE -o NAME.avatar'."
        )
    with opened(path, ArchiveError) as file:
        try:
            return _read(Archive(path, file))
        except OSError as error:
            raise ArchiveError(f"{path} cannot be read: {reason_of(error)}.") from error


def _write(avatar: Avatar, archive: zipfile.ZipFile) -> None:
    entries = {}
    for name, content in _contents(avatar):
        archive.writestr(zipfile.ZipInfo(name), content)
        entries[name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "digest": avatar.digest,
        "fps": str(avatar.fps),
        "moving": avatar.moving,
        "backends": list(avatar.extras),
        "shots": [frame.shot for frame in avatar.frames],
        "report": asdict(avatar.report),
        "entries": entries,
    }
    archive.writestr(zipfile.ZipInfo(MANIFEST), json.dumps(manifest, indent=1))


def _contents(avatar: Avatar) -> Iterator[tuple[str, bytes]]:
    absent = np.full((POINTS, 2), np.nan, np.float32)
    rows = [absent if frame.landmarks is None else frame.landmarks for frame in avatar.frames]
    yield LANDMARKS, _packed(np.stack(rows))
    for index, frame in enumerate(avatar.frames):
        source = frame.source
        assert isinstance(source, bytes) == avatar.moving, "clips are kept as JPEG, pictures not"
        content = source if isinstance(source, bytes) else encode_picture(source, ".png")
        yield _frame_name(index, avatar.moving), content
    for backend, arrays in avatar.extras.items():
        for name, array in arrays.items():
            entry = f"{backend}/{name}.npy"
            assert ARRAY.fullmatch(entry) and array.dtype.kind in KINDS, entry
            yield entry, _packed(array)


def _frame_name(index: int, moving: bool) -> str:
    return f"frames/{index:06d}.{'jpg' if moving else 'png'}"


def _packed(array: NDArray[Any]) -> bytes:
    packed = io.BytesIO()
    np.lib.format.write_array(packed, array, (1, 0), allow_pickle=False)
    return packed.getvalue()


def _read(archive: Archive) -> Avatar:
    manifest = archive.manifest
    try:
        moving, shots, entries = manifest["moving"], manifest["shots"], manifest["entries"]
        fps = _rate(manifest["fps"])
        digest, report = manifest["digest"], _report(manifest["report"])
        frame_names = [_frame_name(index, moving) for index in range(len(shots))]
        arrays = {name: found for name in entries if (found := ARRAY.fullmatch(name))}
        extras: dict[str, dict[str, NDArray[Any]]] = {name: {} for name in manifest["backends"]}
        sound = (
            isinstance(moving, bool)
            and isinstance(digest, str)
            and MIN_FPS <= fps <= MAX_FPS
            and all(type(shot) is int for shot in shots)
            and {LANDMARKS, *frame_names} == entries.keys() - arrays.keys()
            and {found[1] for found in arrays.values()} <= extras.keys()
            and report.frames == len(shots) > 0
            and (moving or len(shots) == 1)
            and 0 < report.width * report.height <= MAX_PIXELS
        )
        if not sound:
            raise ValueError("inconsistent")
        archive.check_entries(entries)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise archive.damaged(MANIFEST) from error
    points = archive.array(LANDMARKS)
    if points.shape != (len(shots), POINTS, 2) or points.dtype != np.float32:
        raise archive.damaged(LANDMARKS)
    frames = []
    for name, shot, row in zip(frame_names, shots, points, strict=True):
        landmarks = row if np.isfinite(row).all() else None
        if landmarks is not None and not is_face(landmarks, (report.width, report.height)):
            raise archive.damaged(LANDMARKS)
        content = archive.read(name)
        if _size(content) != (report.width, report.height):
            raise archive.damaged(name)
        frame = AvatarFrame(content, landmarks, shot)
        if not moving:
            try:
                image = frame.pixels
            except ArchiveError as error:
                raise archive.damaged(name) from error
            image.flags.writeable = False
            frame = AvatarFrame(image, landmarks, shot)
        frames.append(frame)
    for name, found in arrays.items():
        extras[found[1]][found[2]] = archive.array(name)
    return Avatar(tuple(frames), moving, digest, report, extras, fps)


def _report(values: dict[str, Any]) -> QualityReport:
    """TypeError unless every field has its own type."""
    for field in fields(QualityReport):
        kinds = {"int": (int,), "float": (int, float)}.get(str(field.type), (list,))
        if not isinstance(values[field.name], kinds):
            raise TypeError(field.name)
    return QualityReport(**{**values, "warnings": tuple(map(str, values["warnings"]))})


def _rate(text: str) -> Fraction:
    """ValueError unless it is a fraction of plain numbers: others can take for ever to read."""
    if RATE.fullmatch(text) is None:
        raise ValueError(text)
    return Fraction(text)


def _size(content: bytes) -> tuple[int, int]:
    """(width, height) from the header alone: 1500 frames need not be decoded to be loaded."""
    try:
        with Pillow.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError):
        return (0, 0)
