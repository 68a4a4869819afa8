"""Which files of a bundle are there, and whether they are still what was pulled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from lipstream.config import Progress
from lipstream.errors import CheckpointError
from lipstream.weights.catalogue import Bundle, WeightFile
from lipstream.weights.folder import sha256_of
from lipstream.weights.manifest import Manifest, Record


class State(Enum):
    """What is known of a file without reading it."""

    MISSING = "missing"
    PULLED = "pulled"
    UNRECORDED = (
        "not recorded"  # somebody put it there: its hash is unknown, its content may be fine
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """One file of a bundle."""

    file: WeightFile
    path: Path
    state: State
    record: Record | None


def survey(bundle: Bundle, folder: Path) -> list[Finding]:
    """Every file of the bundle; reads only the manifest."""
    manifest = Manifest.load(folder)
    found = []
    for file in bundle.files:
        path, record = folder / file.target, manifest.files.get(file.target)
        present = State.UNRECORDED if record is None else State.PULLED
        found.append(Finding(file, path, present if path.exists() else State.MISSING, record))
    return found


def verify(
    bundle: Bundle,
    folder: Path,
    new_bar: Callable[[str], Progress] = lambda label: lambda done, total: None,
) -> Iterator[Finding]:
    """Every file of the bundle that was ever pulled or is there, after a look at its hash.

    CheckpointError for one that is not what was recorded, or that was recorded and is gone.
    """
    for found in survey(bundle, folder):
        if found.record is not None:
            _check(bundle, found, found.record, new_bar(f"checking {found.file.target}"))
        elif found.state is State.MISSING:
            continue
        yield found


def _check(bundle: Bundle, found: Finding, record: Record, progress: Progress) -> None:
    again = f"'lipstream models pull {bundle.name}'"
    if found.state is State.MISSING:
        raise CheckpointError(f"{found.path} was pulled and is gone: run {again}.")
    if not found.path.is_file():
        raise CheckpointError(f"{found.path} is no file: delete it and run {again}.")
    size = found.path.stat().st_size
    if size != record.size:
        raise CheckpointError(
            f"{found.path} has {size} bytes instead of {record.size}: delete it and run {again}."
        )
    try:
        sha256 = sha256_of(found.path, progress)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CheckpointError(
            f"{found.path} cannot be read: {reason}; check its rights."
        ) from error
    if sha256 != record.sha256:
        raise CheckpointError(
            f"{found.path} is not the file that was pulled (its SHA-256 is {sha256[:12]}..., not "
            f"{record.sha256[:12]}...): delete it and run {again}."
        )
