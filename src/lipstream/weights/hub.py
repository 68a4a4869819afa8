"""Files of the Hugging Face hub; `huggingface_hub` speaks to it and honours the HF_ variables.

The transfer is ours to call file by file: `hf_hub_download` throws away what it has when it is
interrupted, and weights of gigabytes must go on where they stopped.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from lipstream.config import Progress
from lipstream.errors import LipstreamError, MissingError
from lipstream.installation import install_command
from lipstream.media.output_path import writing
from lipstream.weights.catalogue import Source
from lipstream.weights.manifest import BLOCK

COMMIT = re.compile("[0-9a-f]{40}")
TOKEN = "set HF_TOKEN to a token that may read it"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the hub announces it."""

    source: Source  # as requested
    name: str
    commit: str
    size: int | None
    etag: str | None  # SHA-256 of a large file, git's blob hash of a small one, or a mirror's own

    @property
    def sha256(self) -> str | None:
        return self.etag if self.etag and re.fullmatch("[0-9a-f]{64}", self.etag) else None

    def is_content(self, path: Path, sha256: str) -> bool:
        """Tell whether the file at `path`, whose hash is known, is what was announced."""
        if self.size not in (None, path.stat().st_size):
            return False
        if self.sha256 is not None:
            return self.sha256 == sha256
        if self.etag and re.fullmatch("[0-9a-f]{40}", self.etag):
            return self.etag == _git_hash(path)
        return True


def fetch_metadata(source: Source, name: str) -> RemoteFile:
    """The hub's description of a file; MissingError if it cannot be had."""
    hub = require()
    with _translated(source, name):
        found = hub.get_hf_file_metadata(
            _address(source, name), token=hub.get_token(), endpoint=_endpoint()
        )
    return RemoteFile(source, name, found.commit_hash or source.revision, found.size, found.etag)


def download(remote: RemoteFile, part: Path, progress: Progress) -> None:
    """Complete the file `part`, which may hold a beginning of the remote file already.

    A connection that breaks is opened again for as long as each attempt brings something.
    """
    have = part.stat().st_size if part.exists() else 0
    if remote.size is not None and have > remote.size:
        part.unlink()
        have = 0
    while True:
        try:
            return _transfer(remote, part, have, progress)
        except MissingError:
            before, have = have, part.stat().st_size
            if have <= before:
                raise


def _transfer(remote: RemoteFile, part: Path, have: int, progress: Progress) -> None:
    """One attempt to bring what follows the first `have` bytes."""
    hub = require()
    from huggingface_hub.file_download import http_get

    source = Source(remote.source.repository, remote.commit)
    with writing(part), part.open("ab" if have else "wb") as file:
        with _translated(source, remote.name), _silenced():
            http_get(
                _address(source, remote.name),
                cast(BinaryIO, _ProgressFile(file, have, remote.size, progress)),
                resume_size=have,
                headers=hub.utils.build_hf_headers(token=hub.get_token()),
                expected_size=remote.size,
            )


def find_cached(source: Source, name: str) -> tuple[Path, str] | None:
    """The file and its commit in the cache that HF_HOME places, if a program left it."""
    found = require().try_to_load_from_cache(source.repository, name, revision=source.revision)
    if not isinstance(found, str):
        return None
    commit = Path(found).parts[-1 - len(Path(name).parts)]  # .../snapshots/<commit>/<name>
    return (Path(found).resolve(), commit) if COMMIT.fullmatch(commit) else None


def offline() -> bool:
    """Tell whether HF_HUB_OFFLINE forbids to use the network."""
    require()
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


class _ProgressFile:
    """A file that reports how far it has grown; the hub's own bars know no pipes."""

    def __init__(self, file: BinaryIO, have: int, size: int | None, progress: Progress) -> None:
        self._file, self._done, self._size, self._progress = file, have, size, progress

    def write(self, block: bytes) -> int:
        self._done += len(block)
        self._progress(self._done, self._size)
        return self._file.write(block)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def truncate(self) -> int:
        self._done = self._file.tell()
        return self._file.truncate()


def require() -> Any:
    """The package that speaks to the hub; MissingError where it is not installed."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingError(
            "pulling weights needs the package huggingface_hub; run "
            f"`{install_command('musetalk')}`."
        ) from error
    return huggingface_hub


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _address(source: Source, name: str) -> str:
    revision, endpoint = source.revision, _endpoint()
    url: str = require().hf_hub_url(source.repository, name, revision=revision, endpoint=endpoint)
    return url


@contextmanager
def _silenced() -> Iterator[None]:
    """Suppress the library's bars and its remarks about a connection that it opens again."""
    from huggingface_hub import utils

    level, shown = utils.logging.get_verbosity(), not utils.are_progress_bars_disabled()
    utils.logging.set_verbosity_error()
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.logging.set_verbosity(level)
        if shown:
            utils.enable_progress_bars()


@contextmanager
def _translated(source: Source, name: str) -> Iterator[None]:
    """Turn the library's errors into sentences; errors of the disk pass through."""
    from huggingface_hub import errors

    # The base of all its HTTP library's errors, whichever library that is in this version.
    transport = errors.HfHubHTTPError.__mro__[1]
    try:
        yield
    except (transport, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _error(error, source, name) from error


def _error(error: BaseException, source: Source, name: str) -> LipstreamError:
    from huggingface_hub import errors

    where = f"{source.repository} at {source.revision}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.OfflineModeIsEnabled):
        text = (
            f"{name} of {where} cannot be pulled: HF_HUB_OFFLINE forbids it; unset it, or put the "
            "file in its place yourself."
        )
    elif isinstance(error, errors.GatedRepoError):
        text = f"{where} is gated: accept its terms on the hub's page and {TOKEN}."
    elif isinstance(error, errors.RevisionNotFoundError):
        text = f"{source.repository} has no revision {source.revision}; use another --revision."
    elif isinstance(error, errors.EntryNotFoundError):
        text = f"{where} has no file {name}; use another --repo or --revision."
    elif status in (401, 403):
        text = (
            f"the hub refuses {where} ({status}): it does not exist or is not public; check its "
            f"name, or {TOKEN}."
        )
    elif status == 404:
        text = f"{where} does not exist; use another --repo."
    elif status is not None:
        text = (
            f"the hub answered {status} for {name} of {where}; try again later, or set "
            "HF_ENDPOINT to a mirror."
        )
    else:
        reason = " ".join(str(error).split()) or type(error).__name__
        text = (
            f"{name} of {where} could not be pulled ({reason}): check the connection and "
            "HF_ENDPOINT and pull again, it goes on where it stopped."
        )
    return MissingError(text)


def _git_hash(path: Path) -> str:
    """Git's name of a file's content, which the hub sends for small files."""
    digest: Any = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return str(digest.hexdigest())
