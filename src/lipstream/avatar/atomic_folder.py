"""The folder of a prepared avatar: filled or replaced whole, and never at the cost of other files.

A folder that is there stays the same folder, be it the current one or a disk's root: only what is
in it changes. A new one appears by one rename.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lipstream.errors import OptionError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = "lipstream avatar"
INDEX, LANDMARKS, FRAMES, EXTRAS = "avatar.json", "landmarks.npz", "frames", "extras"
ENTRIES = (INDEX, LANDMARKS, FRAMES, EXTRAS)  # without the first there is no avatar
FRAME = re.compile(FRAMES + r"/[0-9]{6,}\.(png|jpg)")
EXTRA = re.compile(EXTRAS + r"/([a-z][a-z0-9_]{0,31})\.npz")  # cannot lead out of the folder
INDEX_LIMIT = 4 << 20  # bytes; a real one has about 100 per frame


def check_folder(folder: str | Path, source: str | Path | None = None) -> None:
    """Whether an avatar made of `source` can be saved in `folder`; changes nothing.

    `OptionError` when `folder` contains `source`, `OutputError` when it holds anything else than
    an avatar or cannot be written.
    """
    with _sentences(folder):
        folder = _place(folder)
        if source is not None and _contains(folder, source):
            raise OptionError(f"{folder} contains {source}; choose another folder.")
        if _is_there(folder):
            _check_entries(folder)
        there = next(path for path in (folder, *folder.parents) if _is_there(path))
        with tempfile.TemporaryFile(dir=there):  # the one honest test of a folder
            pass


@contextlib.contextmanager
def replaced(folder: str | Path) -> Iterator[Path]:
    """An empty folder to write an avatar into; it becomes `folder` when the block ends well.

    Else `folder` is as it was. Raises as `check_folder` does.
    """
    check_folder(folder)
    with _sentences(folder):
        folder = _place(folder)
        exists = _is_there(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = folder if exists else folder.parent
        part, done = Path(tempfile.mkdtemp(prefix=".lipstream-", dir=beside)), False
        try:
            for name in ("new", "old"):
                (part / name).mkdir()
            yield part / "new"
            if exists:
                _exchange(folder, part / "new", part / "old")
            else:
                (part / "new").rename(folder)
            done = True
        finally:
            # What should have been put back and could not is not thrown away.
            shutil.rmtree(part if done else part / "new", ignore_errors=True)
            with contextlib.suppress(OSError):
                (part / "old").rmdir()
            with contextlib.suppress(OSError):
                part.rmdir()


def _place(folder: str | Path) -> Path:
    """Where `folder` is, whatever the current one is called: `.` and `..` have names too."""
    return Path(os.path.abspath(folder))


def _is_there(path: Path) -> bool:
    """A link that leads nowhere is there too; an impossible name is an OSError."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _contains(folder: Path, source: str | Path) -> bool:
    real = Path(os.path.realpath(source))
    return real.exists() and Path(os.path.realpath(folder)) in real.parents


def _check_entries(folder: Path) -> None:
    """`OutputError` unless `folder` is empty or holds nothing but a prepared avatar."""
    owned = folder.is_dir() and not folder.is_symlink()
    names = sorted(entry.name for entry in folder.iterdir()) if owned else []
    if not owned or (names and not _is_index(folder / INDEX)):
        raise OutputError(
            f"{folder} exists and is not a prepared avatar; choose another folder or remove it."
        )
    for name in names:
        foreign = _foreign(folder, name)
        if foreign:
            raise OutputError(
                f"{folder} holds {foreign} besides a prepared avatar; choose another folder or "
                f"move {Path(foreign).name} elsewhere."
            )


def _foreign(folder: Path, name: str) -> str:
    """The path of the first file in or below the entry `name` that is not ours, or nothing."""
    entry, pattern = folder / name, {FRAMES: FRAME, EXTRAS: EXTRA}.get(name)
    if pattern is None:
        return "" if name in ENTRIES and _is_plain(entry) else name
    if entry.is_symlink() or not entry.is_dir():
        return name
    for file in sorted(entry.iterdir()):
        path = f"{name}/{file.name}"
        if not _is_plain(file) or not pattern.fullmatch(path):
            return path
    return ""


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _is_index(path: Path) -> bool:
    """Whether the file says that it is ours; it may be damaged or of another version."""
    if not _is_plain(path) or path.stat().st_size > INDEX_LIMIT:
        return False
    try:
        index = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(index, dict) and index.get("format") == FORMAT


def _exchange(folder: Path, new: Path, old: Path) -> None:
    """What is in `folder` goes to `old`, what is in `new` comes in, or nothing changes.

    The index leaves first and comes last: whoever looks sees one avatar, none, or the other.
    """
    fresh = [name for name in ENTRIES if (new / name).exists()]
    try:
        for name in ENTRIES:
            if (folder / name).exists():
                (folder / name).rename(old / name)
        for name in reversed(fresh):
            (new / name).rename(folder / name)
    except BaseException:  # an interrupt may come between any two
        for name in fresh:
            if not (new / name).exists():
                (folder / name).rename(new / name)
        for name in reversed(ENTRIES):
            if (old / name).exists():
                (old / name).rename(folder / name)
        raise


@contextlib.contextmanager
def _sentences(folder: str | Path) -> Iterator[None]:
    """Turn what the system says about writing `folder` into an OutputError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = "the disk is full; free some space or write elsewhere."
        else:
            reason = f"{(error.strerror or str(error)).lower()}; choose another folder."
        raise OutputError(f"{folder} cannot be written: {reason}") from error
