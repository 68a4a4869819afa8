"""A file that appears only when it is complete: its place is checked before any work."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from lipstream.errors import OptionError, OutputError, reason_of

STALE_S = 24 * 3600.0  # since the last write, after which an unfinished file has lost its writer


def checked_target(path: Path, suffix: str = ".mp4") -> Path:
    """The place where a file named `path` will lie, links resolved.

    OptionError when `path` does not end in `suffix`, OutputError when it cannot be written there.
    """
    with writing(path):
        if path.is_dir():
            example = path / f"out{suffix}"
            raise OptionError(f"{path} is a folder; name a file in it, such as {example}.")
        if path.suffix.lower() != suffix:
            name = f"{path.stem or 'out'}{suffix}"
            raise OptionError(f"{path}: only {suffix} files are written; name it {name}.")
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


def check_not_input(target: Path, *sources: Path) -> None:
    """OptionError when writing `target` would replace one of the files it is made from."""
    for source in sources:
        with contextlib.suppress(OSError, ValueError):  # one of them does not exist
            if target.samefile(source):
                raise OptionError(f"{target} is also an input; give the output another name.")


def part_of(target: Path) -> Path:
    """A new hidden name beside `target`, short enough wherever the target's own name is.

    What killed writers left there long ago is removed.
    """
    for left in target.parent.glob(".lipstream-*.part"):
        with contextlib.suppress(OSError):  # another one removes it, or it is not ours
            if time.time() - left.stat().st_mtime > STALE_S:
                left.unlink()
    return target.with_name(f".lipstream-{uuid.uuid4().hex[:16]}.part")


def new_file(*, private: bool) -> Callable[[str, int], int]:
    """An `opener` for `open`: nobody else may read a file that it makes as a `private` one."""
    return lambda name, flags: os.open(name, flags, 0o600 if private else 0o666)


@contextlib.contextmanager
def replacing(path: Path, suffix: str, *, private: bool = False) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path` when the block ends without an exception.

    Else nothing changes. Of several writers of one path the last one to end wins. Nobody else may
    read a `private` one. Raises as `checked_target` does.
    """
    target = checked_target(path, suffix)
    part = part_of(target)
    try:
        with writing(path):
            with open(part, "xb", opener=new_file(private=private)) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # or a power cut could leave the name with nothing in it
            os.replace(part, target)
    finally:
        with contextlib.suppress(OSError):  # the exception under way says more
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path, other: type[Exception] = OSError) -> Iterator[None]:
    """Turn an OSError of the system, or an `other` error, into an OutputError that names `path`."""
    try:
        yield
    except (OSError, other) as error:
        code = getattr(error, "errno", None)
        if code is None:
            raise  # not the system's: libraries derive their own errors from OSError
        folder = Path(os.path.realpath(path)).parent
        if code in (errno.ENOSPC, errno.EDQUOT):
            reason = f"the disk is full; free some space in {folder} or write elsewhere."
        elif code in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason = f"the folder {folder} is not writable; choose another one."
        else:
            reason = f"{reason_of(error)}; check the folder and the options."
        raise OutputError(f"{path} cannot be written: {reason}") from error
