"""Copies of a store's files: sound ones only, and no more than fit."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from lipstream.errors import ArchiveError
from lipstream.server.avatars.stores.local_cache import LocalCache

FACES = [bytes([n]) * 100 for n in range(4)]


def files(folder: Path) -> list[bytes]:
    """The contents of all files that are there."""
    return sorted(path.read_bytes() for path in folder.glob("*"))


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Source:
    """Gives out contents one after the other."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = list(contents)

    async def download(self, target: Path) -> None:
        write(target, self.contents.pop(0))


def test_a_file_is_fetched_once(tmp_path: Path) -> None:
    async def test() -> None:
        cache, source = LocalCache(tmp_path / "copies", 1000), Source(FACES[0])
        await cache.open()
        for _ in range(2):
            path = await cache.fetch(sha256(FACES[0]), source.download)
            assert path.parent == tmp_path / "copies"
        await cache.close()
        assert files(tmp_path / "copies") == [FACES[0]]

    asyncio.run(test())


def test_a_damaged_download_is_tried_again(tmp_path: Path) -> None:
    async def test() -> None:
        cache = LocalCache(tmp_path, 1000)
        source = Source(b"", FACES[0][:50], FACES[0])
        path = await cache.fetch(sha256(FACES[0]), source.download)
        assert files(tmp_path) == [FACES[0]]
        write(path, b"damaged on this disk")
        source.contents.append(FACES[0])
        await cache.fetch(sha256(FACES[0]), source.download)
        source.contents += [b"other"] * 3
        with pytest.raises(ArchiveError, match="3 times; upload it again"):
            await cache.fetch(sha256(FACES[1]), source.download)
        assert files(tmp_path) == [FACES[0]]

    asyncio.run(test())


def test_the_longest_unused_make_room(tmp_path: Path) -> None:
    async def test() -> None:
        cache = LocalCache(tmp_path, 250)
        for age, content in zip((300, 400, 200), FACES[:3], strict=True):
            path = await cache.fetch(sha256(content), Source(content).download)
            os.utime(path, (1_700_000_000 - age,) * 2)
        await cache.fetch(sha256(FACES[3]), Source(FACES[3]).download)
        assert files(tmp_path) == [FACES[2], FACES[3]]
        large = bytes(300)
        await cache.fetch(sha256(large), Source(large).download)
        assert files(tmp_path) == [large]

    asyncio.run(test())


def test_a_temporary_cache_is_removed(tmp_path: Path) -> None:
    async def test() -> None:
        cache = LocalCache(tmp_path / "copies", 250, temporary=True)
        await cache.open()
        await cache.fetch(sha256(FACES[3]), Source(FACES[3]).download)
        await cache.close()

    asyncio.run(test())
    assert not (tmp_path / "copies").exists()
