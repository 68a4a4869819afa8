"""`--audio -`: what is piped in, saved to a temporary file, as media are read back and forth."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lipstream.errors import AudioError, LipstreamError, OptionError, OutputError, reason_of

STANDARD_INPUT = Path("-")
NAME = "standard input"
BLOCK = 1 << 20  # bytes
MAX_BYTES = 4 << 30  # more than any file of speech; a pipe that never ends must not fill the disk


@contextlib.contextmanager
def local_file(path: Path) -> Iterator[Path]:
    """`path` itself, or for `-` a file with all of standard input while the block runs.

    Errors raised in the block name it "standard input". OptionError when it is a terminal,
    AudioError beyond `MAX_BYTES`, OutputError when it cannot be saved.
    """
    if path != STANDARD_INPUT:
        yield path
        return
    if sys.stdin is None or sys.stdin.isatty():
        raise OptionError(f"--audio - reads {NAME}, but nothing is piped into it; name a file.")
    with tempfile.TemporaryDirectory(prefix="lipstream-") as folder:
        saved = Path(folder, NAME)
        _save(sys.stdin.buffer, saved)
        try:
            yield saved
        except LipstreamError as error:
            raise type(error)(str(error).replace(str(saved), NAME)) from error


def _save(source: IO[bytes], target: Path) -> None:
    size = 0
    try:
        with target.open("xb") as file:
            while block := source.read(BLOCK):
                size += len(block)
                if size > MAX_BYTES:
                    raise AudioError(f"{NAME} holds more than {MAX_BYTES >> 30} GiB; cut it.")
                file.write(block)
    except OSError as error:
        raise OutputError(
            f"{NAME} cannot be saved to {target.parent}: {reason_of(error)}; set TMPDIR to a "
            "folder with room."
        ) from error
