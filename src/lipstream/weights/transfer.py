"""Bring a bundle's files into the models folder, each whole and proven or not at all.

A file that exists is kept if its hash is the recorded one. One that is missing is taken from the
commit that was recorded, so that a folder can be repaired but never changes unnoticed; `renew`
forgets the record. A download grows beside its target and is renamed when it is complete.
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
from lipstream.media.output_path import writing
from lipstream.weights import hub
from lipstream.weights.catalogue import Bundle, Content, Source, WeightFile
from lipstream.weights.hub import RemoteFile
from lipstream.weights.manifest import FileRecord, Manifest, sha256_of

LOCK = ".pull.lock"


@dataclass(frozen=True, slots=True)
class PullResult:
    """The outcome for one file."""

    file: WeightFile
    path: Path
    record: FileRecord
    new: bool  # False: it existed and is what it should be


def pull(
    bundle: Bundle,
    folder: Path,
    parts: Sequence[str],
    *,
    sources: Mapping[str, Source] | None = None,
    renew: bool = False,
    new_bar: Callable[[str], Progress] = lambda label: lambda done, total: None,
) -> Iterator[PullResult]:
    """Pull the files of `parts` one after the other, and record each in the manifest.

    `sources` replaces the catalogue's source of a part. MissingError when the hub does not give a
    file, CheckpointError when a file is not what it should be, OutputError when the disk is full.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder):
        manifest = Manifest.load(folder)
        for file in [file for part in parts for file in bundle.parts[part].files]:
            chosen = (sources or {}).get(file.part)
            record = None if renew else manifest.files.get(file.target)
            if record is not None and chosen is not None:
                recorded = chosen.revision in (record.asked, record.revision)
                if chosen.repository != record.repository or not recorded:
                    record = None
            job = _FilePull(bundle, folder, file, chosen or file.source, record, renew, new_bar)
            done = job.run()
            if manifest.files.get(file.target) != done.record:
                manifest.files[file.target] = done.record
                manifest.save()
            yield done


@dataclass(frozen=True, slots=True)
class _FilePull:
    bundle: Bundle
    folder: Path
    file: WeightFile
    source: Source
    record: FileRecord | None  # what the file must agree with
    renew: bool
    new_bar: Callable[[str], Progress]

    @property
    def path(self) -> Path:
        return self.folder / self.file.target

    def run(self) -> PullResult:
        if self.path.is_dir():
            raise CheckpointError(f"{self.path} is a folder: move it away and pull again.")
        if self.record is None or not self.path.exists():
            return self._downloaded()
        if self._hash(self.path) != self.record.sha256:
            raise CheckpointError(
                f"{self.path} is not the file that was pulled: delete it and run "
                f"'lipstream models pull {self.bundle.name}' again."
            )
        return PullResult(self.file, self.path, self.record, new=False)

    def _downloaded(self) -> PullResult:
        source = self.source
        if self.record is not None:  # the same commit again, whatever the branch has become
            source = Source(self.record.repository, self.record.revision)
        if hub.offline() and (cached := hub.find_cached(source, self.file.name)):
            remote = RemoteFile(source, self.file.name, cached[1], None, None)
        else:
            remote = hub.fetch_metadata(source, self.file.name)
            self._check_announced(remote)
        if self.path.exists() and (present := self._adopted(remote)):
            return present
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        tag = re.sub(r"\W", "_", remote.commit)[:12]  # another commit is another beginning
        part = self.path.with_name(f".{self.path.name}.{tag}.part")
        self._bring(remote, part)
        sha256 = self._hash(part)
        try:
            self._check_content(remote, part, sha256)
        except CheckpointError:
            part.unlink()  # nothing to go on from
            raise
        record = self._new_record(remote, part, sha256)
        with writing(self.path):
            os.replace(part, self.path)
        return PullResult(self.file, self.path, record, new=True)

    def _adopted(self, remote: RemoteFile) -> PullResult | None:
        """A file without a record: kept if it is the hub's, replaced only with `renew`."""
        sha256 = self._hash(self.path)
        if remote.etag and remote.is_content(self.path, sha256):
            self._check_content(remote, self.path, sha256)
            record = self._new_record(remote, self.path, sha256)
            return PullResult(self.file, self.path, record, new=False)
        if self.renew:
            return None
        raise CheckpointError(
            f"{self.path} is not the file {self.file.name} of {remote.source.repository}: "
            "move it away, or replace it with --renew."
        )

    def _bring(self, remote: RemoteFile, part: Path) -> None:
        at_commit = Source(remote.source.repository, remote.commit)
        if cached := hub.find_cached(at_commit, self.file.name):
            with writing(part):
                shutil.copyfile(cached[0], part)
            return
        missing = (remote.size or 0) - (part.stat().st_size if part.exists() else 0)
        if missing > free_space(part.parent):
            raise OutputError(
                f"{part.parent} has no room for {missing / 1e6:.0f} MB: free some space or choose "
                "another --models folder."
            )
        hub.download(remote, part, self.new_bar(self.file.target))

    def _check_announced(self, remote: RemoteFile) -> None:
        """Refuse a wrong file before a byte of it is transferred; large ones announce a hash."""
        if remote.size is not None:
            self._check_size(remote, remote.size)
        if remote.sha256 is not None:
            self._check_hash(remote, remote.sha256)

    def _check_content(self, remote: RemoteFile, path: Path, sha256: str) -> None:
        if not remote.is_content(path, sha256):
            raise CheckpointError(
                f"{self.file.name} of {remote.source.repository} was damaged on its way here: run "
                f"'lipstream models pull {self.bundle.name}' again."
            )
        self._check_size(remote, path.stat().st_size)
        self._check_hash(remote, sha256)

    def _check_size(self, remote: RemoteFile, size: int) -> None:
        """Compare with the published size where the file is from the catalogue's source."""
        published = self._published(remote)
        if published is not None and size != published.size:
            raise self._unpublished(remote, f"it has {size} bytes instead of {published.size}")

    def _check_hash(self, remote: RemoteFile, sha256: str) -> None:
        """Compare with the record, and with the published hash as `_check_size` does."""
        if self.record is not None and sha256 != self.record.sha256:
            raise CheckpointError(
                f"{self._origin(remote)} is no longer the file on record: do not use it unless you "
                "know why it changed; --renew takes it and records it anew."
            )
        published = self._published(remote)
        expected = None if published is None else published.sha256
        if expected is not None and sha256 != expected:
            hashes = f"{sha256[:12]}..., not {expected[:12]}..."
            raise self._unpublished(remote, f"its SHA-256 is {hashes}")

    def _published(self, remote: RemoteFile) -> Content | None:
        return self.file.published if remote.source == self.file.source else None

    def _unpublished(self, remote: RemoteFile, fault: str) -> CheckpointError:
        return CheckpointError(
            f"{self._origin(remote)} is not the published file, {fault}: pull from another "
            f"HF_ENDPOINT, or name the commit to use by --revision {self.file.part}=COMMIT."
        )

    def _origin(self, remote: RemoteFile) -> str:
        return f"{self.file.name} of {remote.source.repository} at {remote.commit}"

    def _new_record(self, remote: RemoteFile, path: Path, sha256: str) -> FileRecord:
        asked = self.record.asked if self.record else self.source.revision
        licence = self.bundle.parts[self.file.part].licence
        size = path.stat().st_size
        return FileRecord(remote.source.repository, asked, remote.commit, size, sha256, licence)

    def _hash(self, path: Path) -> str:
        return sha256_of(path, self.new_bar(f"checking {self.file.target}"))


def free_space(folder: Path) -> int:
    """Bytes that the disk of `folder` has left."""
    return shutil.disk_usage(folder).free


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Let one pull run at a time: two would write to the same beginnings of files."""
    hub.require()
    from filelock import FileLock, Timeout  # huggingface_hub needs it too

    lock = FileLock(folder / LOCK)
    try:
        with writing(folder / LOCK):
            lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(
            f"another pull into {folder} is running: wait for it or choose another --models folder."
        ) from error
    try:
        yield
    finally:
        lock.release()
