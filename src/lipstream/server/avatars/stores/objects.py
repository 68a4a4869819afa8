"""The few things that a store of avatars needs of the place where it keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Objects(Protocol):
    """Named bytes. Keys are two names at most, joined by a slash. Every method may block, raises
    OSError or an error of its own library, and is called from any thread."""

    def open(self) -> None:
        """Prepare the place, where that is needed."""
        ...

    def list(self, folder: str = "") -> Mapping[str, str]:
        """All keys, or those below `folder`, each with a text that changes with its content."""
        ...

    def read(self, key: str) -> bytes:
        """The content; FileNotFoundError."""
        ...

    def write(self, key: str, content: bytes, first: bool = False) -> None:
        """Write the content, whole at once. With `first` FileExistsError when the key exists."""
        ...

    def upload(self, key: str, file: Path) -> None:
        """Write a copy of `file`, whole at once."""
        ...

    def download(self, key: str, target: Path) -> None:
        """Copy the content into the new file `target`; FileNotFoundError."""
        ...

    def path(self, key: str) -> Path | None:
        """The file that holds the content, where it is one of this machine."""
        ...

    def remove(self, key: str) -> None:
        """Remove the content. Does nothing for an unknown key."""
        ...

    def free_bytes(self) -> int | None:
        """The space left; None where that has no meaning."""
        ...

    def close(self) -> None:
        """End the use of the place."""
        ...
