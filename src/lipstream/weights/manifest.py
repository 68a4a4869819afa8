"""`models/manifest.json`: what was pulled, from where, and the hash it must still have.

{"format": "lipstream models", "version": 1,
 "files": {"whisper/config.json": {"repository": "openai/whisper-tiny", "asked": "main",
           "revision": "<commit>", "size": 1983, "sha256": "...", "licence": "apache-2.0"}}}
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any

from lipstream.config import Progress
from lipstream.errors import CheckpointError, reason_of
from lipstream.media.output_path import replacing
from lipstream.weights.catalogue import Bundle, WeightFile

NAME = "manifest.json"
FORMAT, VERSION = "lipstream models", 1
SHA256 = re.compile("[0-9a-f]{64}")
BLOCK = 1 << 22  # bytes read at a time


@dataclass(frozen=True, slots=True)
class FileRecord:
    """The origin and content of a file when it was pulled."""

    repository: str
    asked: str  # the requested revision: a branch, tag or commit
    revision: str  # the commit that it stood for
    size: int  # bytes
    sha256: str
    licence: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The records of a models folder, by path below it."""

    folder: Path
    files: dict[str, FileRecord] = field(default_factory=dict)

    def save(self) -> None:
        """Replace the file whole; OutputError when that is impossible."""
        contents = {
            "format": FORMAT,
            "version": VERSION,
            "files": {name: asdict(record) for name, record in sorted(self.files.items())},
        }
        with replacing(self.folder / NAME, ".json") as file:
            file.write(f"{json.dumps(contents, indent=1)}\n".encode())

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Empty when nothing was pulled; CheckpointError when the file is not what we wrote."""
        path = folder / NAME
        try:
            contents = json.loads(path.read_bytes())
            if (contents["format"], contents["version"]) != (FORMAT, VERSION):
                raise ValueError("format")
            files = {str(name): _record(entry) for name, entry in contents["files"].items()}
        except (FileNotFoundError, NotADirectoryError):
            return cls(folder)
        except OSError as error:
            raise _unreadable(path, error) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(
                f"{path} is damaged or of another version: delete it and pull the weights again."
            ) from error
        return cls(folder, files)


class FileState(Enum):
    """The state of a file as far as it is known without reading it."""

    MISSING = "missing"
    PULLED = "pulled"
    UNRECORDED = "not recorded"  # put there by hand: its hash is unknown


@dataclass(frozen=True, slots=True)
class FileStatus:
    """One file of a bundle in a models folder."""

    file: WeightFile
    path: Path
    state: FileState
    record: FileRecord | None

    @property
    def size(self) -> int | None:
        """Bytes, as recorded or else as published; None where neither is known."""
        known = self.record or self.file.published
        return None if known is None else known.size


def models_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """`given`, else $LIPSTREAM_MODELS, else ./models if it exists, else the user's data folder."""
    if chosen := given or os.environ.get("LIPSTREAM_MODELS"):
        return Path(chosen)
    here, home = Path("models"), Path.home()
    if here.is_dir():
        return here
    if sys.platform == "win32":
        data = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        data = home / "Library" / "Application Support"
    else:
        data = os.environ.get("XDG_DATA_HOME") or home / ".local" / "share"
    return Path(data) / "lipstream" / "models"


def list_files(bundle: Bundle, folder: Path) -> list[FileStatus]:
    """Every file of the bundle; reads only the manifest."""
    manifest = Manifest.load(folder)
    found = []
    for file in bundle.files:
        path, record = folder / file.target, manifest.files.get(file.target)
        present = FileState.UNRECORDED if record is None else FileState.PULLED
        state = present if path.exists() else FileState.MISSING
        found.append(FileStatus(file, path, state, record))
    return found


def verify(
    bundle: Bundle,
    folder: Path,
    new_bar: Callable[[str], Progress] = lambda label: lambda done, total: None,
) -> Iterator[FileStatus]:
    """Every file of the bundle that was pulled, after its hash was checked.

    CheckpointError for one that is not what was recorded, or is missing.
    """
    for found in list_files(bundle, folder):
        if found.record is not None:
            _check(bundle, found, found.record, new_bar(f"checking {found.file.target}"))
            yield found


def sha256_of(path: Path, progress: Progress | None = None) -> str:
    """The file's SHA-256, hex; CheckpointError when it cannot be read. `progress` counts bytes."""
    digest, done = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            while block := file.read(BLOCK):
                digest.update(block)
                done += len(block)
                if progress is not None:
                    progress(done, size)
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def _check(bundle: Bundle, found: FileStatus, record: FileRecord, progress: Progress) -> None:
    again = f"'lipstream models pull {bundle.name}'"
    if found.state is FileState.MISSING:
        raise CheckpointError(f"{found.path} was pulled and is missing: run {again}.")
    if not found.path.is_file():
        fault = "is no file"
    elif (size := found.path.stat().st_size) != record.size:
        fault = f"has {size} bytes instead of {record.size}"
    elif (sha256 := sha256_of(found.path, progress)) != record.sha256:
        hashes = f"{sha256[:12]}..., not {record.sha256[:12]}..."
        fault = f"is not the file that was pulled (its SHA-256 is {hashes})"
    else:
        return
    raise CheckpointError(f"{found.path} {fault}: delete it and run {again}.")


def _record(entry: dict[str, Any]) -> FileRecord:
    """ValueError or KeyError unless every field exists with its own type."""
    record = FileRecord(**{item.name: entry[item.name] for item in fields(FileRecord)})
    for item in fields(FileRecord):
        if type(getattr(record, item.name)) is not (int if item.name == "size" else str):
            raise ValueError(item.name)
    if not SHA256.fullmatch(record.sha256):
        raise ValueError("sha256")
    return record


def _unreadable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(f"{path} cannot be read: {reason_of(error)}; check its rights.")
