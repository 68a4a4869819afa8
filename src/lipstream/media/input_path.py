"""Opening a file that was given, or saying in one sentence why that cannot be done."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lipstream.errors import InputError, reason_of

# `Path` has made one slash of two. A single letter before the colon is a drive.
ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)


@contextlib.contextmanager
def opened(path: Path, error: type[InputError]) -> Iterator[IO[bytes]]:
    """The bytes of a file, positioned at their start; raises `error` when they cannot be had."""
    try:
        # Opening a pipe would wait for whoever writes to it, and media are read back and forth.
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise error(f"{path} is a pipe or a device; save its content as a file first.")
        handle = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise error(_absent(path)) from None
    except IsADirectoryError:
        raise error(f"{path} is a folder; name a file in it.") from None
    except PermissionError:
        raise error(f"{path} may not be read; change its permissions.") from None
    except (OSError, ValueError) as failure:
        raise error(f"{path} cannot be opened: {reason_of(failure)}; check the name.") from failure
    with handle:
        if not handle.read(1):
            raise error(f"{path} is empty; copy or export it again.")
        handle.seek(0)
        yield handle


def _absent(path: Path) -> str:
    """The sentence for a file that is not there."""
    if address := ADDRESS.fullmatch(path.as_posix()):
        scheme, rest = address.groups()
        if scheme.lower() == "file":
            return f"{scheme}:///{rest} is an address; give the path alone, /{rest}."
        return f"{scheme}://{rest} is an address, and only local files are read; download it first."
    if path.parts[:1] and path.parts[0].startswith("~"):
        return f"{path} does not exist, as only a shell expands ~; write the whole path."
    return f"{path} does not exist; check the name."
