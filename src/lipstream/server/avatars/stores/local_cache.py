"""Prepared files that came from a store, by their hash, on this machine's disk."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import shutil
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from lipstream.avatar.storage import SUFFIX
from lipstream.errors import ArchiveError

Download: TypeAlias = Callable[[Path], Awaitable[None]]

TRIES = 3  # of a download that comes damaged
PART = ".part"

log = logging.getLogger("lipstream.server")


class LocalCache:
    """Files named by their SHA-256. Processes of one machine may share the folder; when it grows
    beyond `max_bytes`, those used longest ago are removed, but never the newest."""

    def __init__(self, folder: Path, max_bytes: int, temporary: bool = False) -> None:
        """A `temporary` folder is removed in the end."""
        self._folder, self._max_bytes, self._temporary = folder, max_bytes, temporary

    async def open(self) -> None:
        """Make the folder, unless it is there."""
        mode = 0o700 if self._temporary else 0o777
        await asyncio.to_thread(self._folder.mkdir, mode, parents=True, exist_ok=True)

    async def fetch(self, sha256: str, download: Download) -> Path:
        """The file of this hash, brought by `download` unless it is here; ArchiveError when it
        comes damaged `TRIES` times."""
        path = self._folder / f"{sha256}{SUFFIX}"
        if await asyncio.to_thread(_is_sound, path, sha256):
            return path
        for _ in range(TRIES):
            part = self._folder / f"{uuid.uuid4().hex}{PART}"
            try:
                await download(part)
                if await asyncio.to_thread(_is_sound, part, sha256):
                    await asyncio.to_thread(os.replace, part, path)
                    await asyncio.to_thread(self._make_room, path)
                    return path
                log.warning("avatar came damaged from the store", extra={"sha256": sha256})
            finally:
                await asyncio.to_thread(part.unlink, missing_ok=True)
        raise ArchiveError(
            f"the avatar came damaged from the store {TRIES} times; upload it again."
        )

    async def close(self) -> None:
        """Remove a temporary folder."""
        if self._temporary:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def _make_room(self, newest: Path) -> None:
        """Remove what was used longest ago until the rest fits."""
        found = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):  # another process makes room, too
                state = path.stat()
                found.append((path != newest, -state.st_mtime_ns, state.st_size, path))
        total = 0
        for _, _, size, path in sorted(found):
            total += size
            if total > self._max_bytes and path != newest:
                path.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits. Takes a second for a gigabyte."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _is_sound(path: Path, sha256: str) -> bool:
    """True when the file is there, with this content; it counts as used then."""
    try:
        if file_sha256(path) != sha256:
            return False
        os.utime(path)
    except FileNotFoundError:
        return False
    return True
