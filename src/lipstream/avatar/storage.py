"""A prepared avatar as a folder: saved whole or not at all, loaded exactly or refused.

    avatar.json         format, digest, report, shots, and the SHA-256 of every file and of itself
    landmarks.npz       points (frames, 468, 2) float32, NaN where no face was found
    frames/000000.png   a picture's frame, lossless
    frames/000000.jpg   a clip's frames, the very bytes the avatar holds
    extras/NAME.npz     arrays that the backend NAME prepared beforehand; often none

Nothing in the folder is executed: the arrays are read without pickle.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image as Pillow

from lipstream.avatar.atomic_folder import (
    EXTRA,
    EXTRAS,
    FORMAT,
    FRAMES,
    INDEX,
    INDEX_LIMIT,
    LANDMARKS,
    replaced,
)
from lipstream.avatar.avatar import Avatar, AvatarFrame, QualityReport
from lipstream.avatar.face.landmarks import POINTS
from lipstream.errors import ArchiveError

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Arrays
    from lipstream.media.image import Floats, Image

VERSION = 1
AGAIN = "prepare the avatar again with 'lipstream prepare'"


def save_avatar(avatar: Avatar, folder: str | Path) -> None:
    """Write the avatar; an older avatar in `folder` is replaced once the new one is complete.

    `OutputError` when `folder` is something else than an avatar or cannot be written.
    """
    with replaced(folder) as fresh:
        _write(avatar, fresh)


def load_avatar(folder: str | Path) -> Avatar:
    """Read what `save_avatar` wrote; `ArchiveError` unless every byte is as it was."""
    folder = Path(folder)
    try:
        return _read(folder)
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        if missing == INDEX:
            raise ArchiveError(
                f"{folder} is not a prepared avatar (it has no {INDEX}); give a picture, a clip "
                "or a folder made by 'lipstream prepare'."
            ) from error
        raise ArchiveError(f"{folder} is damaged: {missing} is missing; {AGAIN}.") from error
    except OSError as error:
        raise ArchiveError(f"{folder} cannot be read: {error.strerror or error}.") from error


def _write(avatar: Avatar, folder: Path) -> None:
    (folder / FRAMES).mkdir()
    hashes = {}
    for index, frame in enumerate(avatar.frames):
        name = _frame_name(index, avatar.moving)
        hashes[name] = _store(folder / name, _content(frame, avatar.moving))
    absent = np.full((POINTS, 2), np.nan, np.float32)
    rows = [absent if frame.landmarks is None else frame.landmarks for frame in avatar.frames]
    hashes[LANDMARKS] = _store(folder / LANDMARKS, _packed({"points": np.stack(rows)}))
    for name, arrays in avatar.extras.items():
        path = f"{EXTRAS}/{name}.npz"
        assert EXTRA.fullmatch(path), name
        (folder / EXTRAS).mkdir(exist_ok=True)
        hashes[path] = _store(folder / path, _packed(arrays))
    contents: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "digest": avatar.digest,
        "moving": avatar.moving,
        "shots": [frame.shot for frame in avatar.frames],
        "report": asdict(avatar.report),
        "files": hashes,
    }
    _store(folder / INDEX, json.dumps({**contents, "seal": _seal(contents)}, indent=1).encode())


def _packed(arrays: Arrays) -> bytes:
    assert not any(array.dtype.hasobject for array in arrays.values()), "would be pickled"
    packed, named = io.BytesIO(), dict[str, Any](arrays)
    np.savez_compressed(packed, **named)
    return packed.getvalue()


def _seal(index: dict[str, Any]) -> str:
    """A hash over the index itself, whatever its layout; against accidents, not forgery."""
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def _store(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _content(frame: AvatarFrame, moving: bool) -> bytes:
    if isinstance(frame.source, bytes):
        assert moving, "a picture's frame is kept as pixels"
        return frame.source
    assert not moving, "a clip's frames are kept as JPEG"
    done, data = cv2.imencode(".png", cv2.cvtColor(frame.source, cv2.COLOR_RGB2BGR))
    assert done
    return data.tobytes()


def _read(folder: Path) -> Avatar:
    index = _read_index(folder)
    try:
        moving, shots, hashes = index["moving"], index["shots"], index["files"]
        identity, report = index["digest"], _report(index["report"])
        names = [_frame_name(number, moving) for number in range(len(shots))]
        sound = (
            isinstance(moving, bool)
            and isinstance(identity, str)
            and isinstance(hashes, dict)
            and all(type(shot) is int for shot in shots)
            and {LANDMARKS, *names} == {name for name in hashes if not EXTRA.fullmatch(name)}
            and report.frames == len(shots) > 0
            and (moving or len(shots) == 1)
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, INDEX) from error
    if not sound:
        raise _damaged(folder, INDEX)
    # File names are derived or match EXTRA, so they cannot lead out of the folder.
    points = _read_points(folder, hashes[LANDMARKS], len(shots))
    frames = []
    for name, shot, landmarks in zip(names, shots, points, strict=True):
        content = _checked(folder, name, hashes[name])
        if _size(content) != (report.width, report.height):
            raise _damaged(folder, name)
        source = content if moving else _decoded(folder, name, content)
        frames.append(AvatarFrame(source, landmarks, shot))
    extras = {
        found[1]: _arrays(folder, name, hashes[name])
        for name in hashes
        if (found := EXTRA.fullmatch(name))
    }
    return Avatar(tuple(frames), moving, identity, report, extras)


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    if path.stat().st_size > INDEX_LIMIT:
        raise _damaged(folder, INDEX)
    try:
        index = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _damaged(folder, INDEX) from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise _damaged(folder, INDEX)
    if index.get("version") != VERSION:
        raise ArchiveError(
            f"{folder} was prepared by another version of lipstream (format "
            f"{index.get('version')}, this one reads {VERSION}): {AGAIN}."
        )
    if index.pop("seal", None) != _seal(index):
        raise _damaged(folder, INDEX)
    return index


def _report(values: dict[str, Any]) -> QualityReport:
    """`TypeError` unless every field is there with its own type."""
    for field in fields(QualityReport):
        kinds = {"int": (int,), "float": (int, float)}.get(str(field.type), (list,))
        if not isinstance(values[field.name], kinds):
            raise TypeError(field.name)
    return QualityReport(**{**values, "warnings": tuple(map(str, values["warnings"]))})


def _read_points(folder: Path, expected: str, count: int) -> list[Floats | None]:
    points = _arrays(folder, LANDMARKS, expected).get("points")
    if points is None or points.shape != (count, POINTS, 2) or points.dtype != np.float32:
        raise _damaged(folder, LANDMARKS)
    return [None if not np.isfinite(row).all() else row for row in points]


def _arrays(folder: Path, name: str, expected: object) -> Arrays:
    """Every array of one npz file, read-only."""
    content = _checked(folder, name, expected)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(folder, name) from error
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


def _checked(folder: Path, name: str, expected: object) -> bytes:
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != expected:
        raise _damaged(folder, name)
    return content


def _size(content: bytes) -> tuple[int, int]:
    """(width, height) from the header alone: 1500 frames need not be decoded to be loaded."""
    try:
        with Pillow.open(io.BytesIO(content), formats=("PNG", "JPEG")) as opened:
            return opened.size
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError):
        return (0, 0)


def _decoded(folder: Path, name: str, content: bytes) -> Image:
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise _damaged(folder, name)
    image = np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
    image.flags.writeable = False
    return image


def _frame_name(index: int, moving: bool) -> str:
    return f"{FRAMES}/{index:06d}.{'jpg' if moving else 'png'}"


def _damaged(folder: Path, name: str) -> ArchiveError:
    return ArchiveError(f"{folder} is damaged: {name} is not as it was saved; {AGAIN}.")
