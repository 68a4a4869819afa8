"""Where weights lie, and how a failure to write there is told."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lipstream.config import Progress
from lipstream.errors import OutputError

VARIABLE = "LIPSTREAM_MODELS"
BLOCK = 1 << 22  # bytes read at a time


def models_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """`given`, else $LIPSTREAM_MODELS, else ./models if it exists, else the user's data folder."""
    chosen = given or os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen)
    here = Path("models")
    return here if here.is_dir() else _data_folder() / "lipstream" / "models"


def _data_folder() -> Path:
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")


def free_space(folder: Path) -> int:
    """Bytes that the disk of `folder` has left."""
    return shutil.disk_usage(folder).free


def sha256_of(path: Path, progress: Progress | None = None) -> str:
    """The file's SHA-256 in hexadecimal. Progress is told in bytes."""
    digest, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            if progress is not None:
                progress(done, size)
    return digest.hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says about writing below `path` into an OutputError."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise  # not the system's: the hub's errors are OSErrors too
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = "the disk is full; free some space or choose another --models folder"
        else:
            reason = f"{(error.strerror or str(error)).lower()}; choose another --models folder"
        raise OutputError(f"{path} cannot be written: {reason}.") from error
