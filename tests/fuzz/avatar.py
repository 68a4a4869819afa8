"""Files that claim to be prepared avatars, as they are and sealed again by a stranger."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

from lipstream.avatar.storage import load_avatar
from lipstream.errors import ArchiveError
from tests.fuzz.packets import unpacked
from tests.fuzz.targets import check_sentence

ZIP = b"PK\3\4"


def check(data: bytes) -> None:
    """Take `data` for a file where it begins like one; else make one of it, with right hashes."""
    path = _scratch()
    if data.startswith(ZIP):
        path.write_bytes(data)
    elif not _write_sealed(path, data):
        return
    try:
        avatar = load_avatar(path)
    except ArchiveError as error:
        check_sentence(error)
    else:
        for frame in avatar.frames:
            try:
                assert frame.pixels.shape[::-1][1:] == avatar.size
            except ArchiveError as error:
                check_sentence(error)


def _write_sealed(path: Path, data: bytes) -> bool:
    """Write an archive of the packets in `data`: the manifest and then name, content, name,
    content ... False when there is no manifest to put hashes into."""
    first, *others = [packet for _, packet in unpacked(data)] or [b""]
    try:
        manifest: Any = json.loads(first)
    except (ValueError, RecursionError):
        return False
    if not isinstance(manifest, dict):
        return False
    names = [name.decode("latin-1").replace("\0", "_") or "_" for name in others[::2]]
    entries = dict(zip(names, others[1::2], strict=False))
    manifest["entries"] = {
        name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in entries.items()
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content)
        archive.writestr(zipfile.ZipInfo("manifest.json"), json.dumps(manifest))
    return True


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()  # goes with the process


def _scratch() -> Path:
    return Path(_folder().name) / "fuzz.avatar"
