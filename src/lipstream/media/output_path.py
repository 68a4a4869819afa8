"""Where a movie will lie: checked before any work, and named in every sentence about it."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import av

from lipstream.errors import OptionError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator


def checked_target(path: Path) -> Path:
    """Where a movie named `path` will lie, links resolved.

    OptionError when `path` names no mp4 file, OutputError when it cannot be written there.
    """
    with sentences(path):
        if path.is_dir():
            raise OptionError(f"{path} is a folder; name a file in it, such as {path / 'out.mp4'}.")
        if path.suffix.lower() != ".mp4":
            name = f"{path.stem or 'out'}.mp4"
            raise OptionError(f"{path}: only .mp4 files are written; name it {name}.")
        target = Path(os.path.realpath(path))
        if not target.parent.is_dir():
            raise OutputError(
                f"{path}: the folder {target.parent} does not exist; create it first."
            )
        if target.exists() and not os.access(target, os.W_OK):
            raise OutputError(f"{path} is read-only; choose another name or make it writable.")
        with tempfile.TemporaryFile(dir=target.parent):  # the one honest test of a folder
            pass
    return target


def part_of(target: Path) -> Path:
    """A new hidden name beside `target`, short enough wherever the target's own name is."""
    return target.with_name(f".lipstream-{uuid.uuid4().hex[:16]}.part")


@contextlib.contextmanager
def sentences(path: Path) -> Iterator[None]:
    """Turn what the system and FFmpeg say about writing `path` into an OutputError."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        folder = Path(os.path.realpath(path)).parent
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = f"the disk is full; free some space in {folder} or write elsewhere."
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason = f"the folder {folder} is not writable; choose another one."
        else:
            reason = f"{(error.strerror or str(error)).lower()}; check the folder and the options."
        raise OutputError(f"{path} cannot be written: {reason}") from error
