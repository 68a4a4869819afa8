"""`models/manifest.json`: what was pulled, from where, and the hash it must still have.

{"format": "lipstream models", "version": 1,
 "files": {"whisper/config.json": {"repository": "openai/whisper-tiny", "asked": "main",
           "revision": "<commit>", "size": 1983, "sha256": "...", "licence": "apache-2.0"}}}
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from lipstream.errors import CheckpointError
from lipstream.weights.folder import writing

NAME = "manifest.json"
FORMAT, VERSION = "lipstream models", 1
SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Record:
    """What a file was when it was pulled."""

    repository: str
    asked: str  # the revision that was asked for: a branch, tag or commit
    revision: str  # the commit that it stood for
    size: int  # bytes
    sha256: str
    licence: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The records of a models folder, by path below it."""

    folder: Path
    files: Mapping[str, Record] = field(default_factory=dict)

    def with_record(self, target: str, record: Record) -> Manifest:
        return Manifest(self.folder, {**self.files, target: record})

    def save(self) -> None:
        """Replace the file whole; OutputError when that is impossible."""
        contents = {
            "format": FORMAT,
            "version": VERSION,
            "files": {name: asdict(record) for name, record in sorted(self.files.items())},
        }
        path = self.folder / NAME
        part = path.with_name(f".{NAME}.part")
        with writing(path):
            part.write_text(json.dumps(contents, indent=1) + "\n", encoding="utf-8")
            os.replace(part, path)

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
            reason = (error.strerror or str(error)).lower()
            raise CheckpointError(f"{path} cannot be read: {reason}; check its rights.") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(
                f"{path} is damaged or of another version: delete it and pull the weights again."
            ) from error
        return cls(folder, files)


def _record(entry: dict[str, Any]) -> Record:
    """ValueError or KeyError unless every field is there with its own type."""
    record = Record(**{item.name: entry[item.name] for item in fields(Record)})
    for item in fields(Record):
        kind = int if item.name == "size" else str
        if type(getattr(record, item.name)) is not kind:
            raise ValueError(item.name)
    if not SHA256.fullmatch(record.sha256):
        raise ValueError("sha256")
    return record
