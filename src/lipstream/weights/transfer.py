"""Bring a bundle's files into the models folder, each whole and proven or not at all.

A file that is there is kept if its hash is the recorded one. One that is missing is taken from the
commit that was recorded, so that a folder can be repaired but never changes unnoticed; `renew`
takes what the hub has now. A download grows beside its target and is renamed when it is complete.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lipstream.config import Progress
from lipstream.errors import CheckpointError, OutputError
from lipstream.weights import hub
from lipstream.weights.catalogue import Bundle, Source, WeightFile
from lipstream.weights.folder import free_space, sha256_of, writing
from lipstream.weights.hub import Remote
from lipstream.weights.manifest import Manifest, Record

LOCK = ".pull.lock"


@dataclass(frozen=True, slots=True)
class Pulled:
    """What became of one file."""

    file: WeightFile
    path: Path
    record: Record
    new: bool  # False: it was there and is what it should be


def pull(
    bundle: Bundle,
    folder: Path,
    parts: Sequence[str],
    *,
    sources: Mapping[str, Source] | None = None,
    renew: bool = False,
    new_bar: Callable[[str], Progress] = lambda label: lambda done, total: None,
) -> Iterator[Pulled]:
    """Pull the files of `parts` one after the other, and record each in the manifest.

    `sources` replaces the catalogue's source of a part. MissingError when the hub does not give a
    file, CheckpointError when a file is not what it should be, OutputError when the disk is full.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        manifest = Manifest.load(folder)
        for file in [file for part in parts for file in bundle.files_of(part)]:
            asked = (sources or {}).get(file.part)
            record = _record_to_keep(manifest, file, asked, renew)
            task = _Task(bundle, folder, file, asked or file.source, record, renew, new_bar)
            done = task.run()
            if manifest.files.get(file.target) != done.record:
                manifest = manifest.with_record(file.target, done.record)
                manifest.save()
            yield done


def _record_to_keep(
    manifest: Manifest, file: WeightFile, asked: Source | None, renew: bool
) -> Record | None:
    """The record that the file must agree with, unless another source was asked for."""
    record = manifest.files.get(file.target)
    if record is None or renew:
        return None
    if asked is not None and (
        asked.repository != record.repository
        or asked.revision not in (record.asked, record.revision)
    ):
        return None
    return record


@dataclass(frozen=True, slots=True)
class _Task:
    """One file's way into the folder."""

    bundle: Bundle
    folder: Path
    file: WeightFile
    source: Source
    record: Record | None
    renew: bool
    new_bar: Callable[[str], Progress]

    @property
    def path(self) -> Path:
        return self.folder / self.file.target

    def run(self) -> Pulled:
        if self.path.is_dir():
            raise CheckpointError(f"{self.path} is a folder: move it away and pull again.")
        if self.record is not None and self.path.exists():
            return self._kept(self.record)
        return self._fetched()

    def _kept(self, record: Record) -> Pulled:
        if self._hash(self.path) != record.sha256:
            raise CheckpointError(
                f"{self.path} is not the file that was pulled: delete it and run "
                f"'lipstream models pull {self.bundle.name}' again."
            )
        return Pulled(self.file, self.path, record, new=False)

    def _fetched(self) -> Pulled:
        source = self.source
        if self.record is not None:  # the same commit again, whatever the branch has become
            source = Source(self.record.repository, self.record.revision)
        if hub.offline() and (cached := hub.in_cache(source, self.file.name)):
            remote = Remote(source, self.file.name, cached[1], None, None)
        else:
            remote = hub.look(source, self.file.name)
            self._check_announced(remote)
        if self.path.exists() and (present := self._present(remote)):
            return present
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        state = re.sub(r"\W", "_", remote.commit)[:12]  # another commit is another beginning
        part = self.path.with_name(f".{self.path.name}.{state}.part")
        self._bring(remote, part)
        sha256 = self._hash(part)
        try:
            self._check_content(remote, part, sha256)
        except CheckpointError:
            part.unlink()  # nothing to go on from
            raise
        record = self._described(remote, part, sha256)
        with writing(self.path):
            os.replace(part, self.path)
        return Pulled(self.file, self.path, record, new=True)

    def _present(self, remote: Remote) -> Pulled | None:
        """A file that nobody recorded: adopted if it is the hub's, replaced only if so asked."""
        sha256 = self._hash(self.path)
        if (remote.sha256 or remote.etag) and remote.is_content(self.path, sha256):
            self._check_content(remote, self.path, sha256)
            return Pulled(self.file, self.path, self._described(remote, self.path, sha256), False)
        if self.renew:
            return None
        raise CheckpointError(
            f"{self.path} is not the file {self.file.name} of {remote.source.repository}: "
            "move it away, or replace it with --renew."
        )

    def _bring(self, remote: Remote, part: Path) -> None:
        at_commit = Source(remote.source.repository, remote.commit)
        if cached := hub.in_cache(at_commit, self.file.name):
            with writing(part):
                shutil.copyfile(cached[0], part)
            return
        if remote.size is not None:
            _check_space(part, remote.size)
        hub.fetch(remote, part, self.new_bar(self.file.target))

    def _check_announced(self, remote: Remote) -> None:
        """Large files are known by their hash before a byte of them is transferred."""
        if remote.sha256 is not None:
            self._check_hash(remote, remote.sha256)

    def _check_content(self, remote: Remote, path: Path, sha256: str) -> None:
        self._check_hash(remote, sha256)
        if not remote.is_content(path, sha256):
            raise CheckpointError(
                f"{self.file.name} of {remote.source.repository} was damaged on its way here: run "
                f"'lipstream models pull {self.bundle.name}' again."
            )

    def _check_hash(self, remote: Remote, sha256: str) -> None:
        """Against the record, and against the catalogue where the file is from its source."""
        where = f"{self.file.name} of {remote.source.repository} at {remote.commit}"
        if self.record is not None and sha256 != self.record.sha256:
            raise CheckpointError(
                f"{where} is no longer the file on record: do not use it unless you know why it "
                "changed; --renew takes it and records it anew."
            )
        pinned = self.file.sha256 if self.source == self.file.source else None
        if sha256 != (pinned or sha256):
            raise CheckpointError(
                f"{where} is not the file that lipstream was tested with: name the commit to use "
                f"by --revision {self.file.part}=COMMIT."
            )

    def _described(self, remote: Remote, path: Path, sha256: str) -> Record:
        asked = self.record.asked if self.record else self.source.revision
        licence = self.bundle.parts[self.file.part].licence
        size = path.stat().st_size
        return Record(self.source.repository, asked, remote.commit, size, sha256, licence)

    def _hash(self, path: Path) -> str:
        try:
            return sha256_of(path, self.new_bar(f"checking {self.file.target}"))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise CheckpointError(f"{path} cannot be read: {reason}; check its rights.") from error


def _check_space(part: Path, size: int) -> None:
    missing = size - (part.stat().st_size if part.exists() else 0)
    if free_space(part.parent) < missing:
        raise OutputError(
            f"{part.parent} has no room for {missing / 1e6:.0f} MB: free some space or choose "
            "another --models folder."
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One pull at a time: two would write to the same beginnings of files."""
    hub.require()
    from filelock import FileLock, Timeout  # huggingface_hub needs it too

    lock = FileLock(folder / LOCK)
    try:
        with writing(folder):
            lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(
            f"another pull into {folder} is running: wait for it or choose another --models folder."
        ) from error
    try:
        yield
    finally:
        lock.release()
