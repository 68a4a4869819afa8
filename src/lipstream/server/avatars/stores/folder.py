"""Objects in a folder, which several servers may share, also by a network file system."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

PART = ".part"  # the ending of what is not whole yet
TRIES = 3  # to write into a folder that others remove when it is empty


class FolderObjects:
    """The objects are files; a slash in a key is a folder. A file appears whole, by its rename."""

    def __init__(self, root: Path, temporary: bool = False) -> None:
        """A `temporary` folder is removed in the end."""
        self._root, self._temporary = root, temporary

    def open(self) -> None:
        """Make the folder, unless it is there; not those above it: they may not be mounted yet."""
        self._root.mkdir(mode=0o700 if self._temporary else 0o777, exist_ok=True)

    def list(self, folder: str = "") -> Mapping[str, str]:
        """All keys, or those below `folder`, with size and time of each file."""
        if not folder:
            return dict(self._below_root())
        try:
            return dict(_files(self._root / folder, f"{folder}/"))
        except FileNotFoundError:
            return {}

    def _below_root(self) -> Iterator[tuple[str, str]]:
        with os.scandir(self._root) as found:
            entries = list(found)
        for entry in entries:
            if entry.is_dir():
                with contextlib.suppress(FileNotFoundError):  # removed at this moment
                    yield from _files(Path(entry.path), f"{entry.name}/")
        yield from _files(self._root, "")

    def read(self, key: str) -> bytes:
        """The content; FileNotFoundError."""
        return (self._root / key).read_bytes()

    def write(self, key: str, content: bytes, first: bool = False) -> None:
        """Write the content, whole at once. With `first` FileExistsError when the key exists."""

        def fill(part: Path) -> None:
            with part.open("xb") as file:
                file.write(content)
                _flush(file)

        self._place(key, fill, first)

    def upload(self, key: str, file: Path) -> None:
        """Write a copy of `file`, whole at once; on the same disk it is linked."""

        def fill(part: Path) -> None:
            _link_or_copy(file, part)
            with part.open("rb") as copied:
                _flush(copied)

        self._place(key, fill, first=False)

    def download(self, key: str, target: Path) -> None:
        """Copy the content into the new file `target`; FileNotFoundError."""
        shutil.copyfile(self._root / key, target)

    def path(self, key: str) -> Path | None:
        """The file itself."""
        return self._root / key

    def remove(self, key: str) -> None:
        """Remove the content, and its folder with the last one in it."""
        path = self._root / key
        path.unlink(missing_ok=True)
        if path.parent != self._root:
            with contextlib.suppress(OSError):  # others are in it, or it is gone already
                path.parent.rmdir()

    def free_bytes(self) -> int | None:
        """The space left on the folder's disk."""
        return shutil.disk_usage(self._root).free

    def close(self) -> None:
        """Remove a temporary folder."""
        if self._temporary:
            shutil.rmtree(self._root, ignore_errors=True)

    def _place(self, key: str, fill: Callable[[Path], None], first: bool) -> None:
        """Have a new file filled, then give it its name."""
        target = self._root / key
        for attempt in range(TRIES):
            part = target.with_name(f"{uuid.uuid4().hex}{PART}")
            try:
                if target.parent != self._root:
                    target.parent.mkdir(exist_ok=True)  # not the root: a share may be unmounted
                fill(part)
                if first:
                    _name_first(part, target)
                else:
                    os.replace(part, target)
                return
            except FileNotFoundError:
                if attempt == TRIES - 1 or not self._root.is_dir():
                    raise
            finally:
                with contextlib.suppress(OSError):  # the exception under way says more
                    part.unlink(missing_ok=True)


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as found:
        for entry in found:
            with contextlib.suppress(FileNotFoundError):  # removed at this moment
                if entry.is_file():
                    state = entry.stat()
                    version = f"{state.st_mtime_ns}-{state.st_size}-{state.st_ino}"
                    yield f"{prefix}{entry.name}", version


def _name_first(part: Path, target: Path) -> None:
    """Give the file its name; FileExistsError when another has it."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: the name is taken first, then filled
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.replace(part, target)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, target)


def _flush(file: IO[bytes]) -> None:
    """Bring it to the disk: or a power cut could leave the name with nothing in it."""
    file.flush()
    os.fsync(file.fileno())
