"""Places where avatars are kept, each with what a test needs to look into it."""

from __future__ import annotations

import hashlib
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

from lipstream.server.avatars.stores.base import Label
from lipstream.server.avatars.stores.folder import FolderObjects
from lipstream.server.avatars.stores.labelled import LabelledStore
from lipstream.server.avatars.stores.local_cache import LocalCache
from lipstream.server.avatars.stores.object_store import FsspecObjects
from lipstream.server.avatars.stores.objects import Objects


class Place(ABC):
    """One place, and the stores over it."""

    name: ClassVar[str]
    in_place: ClassVar[bool]  # files are used where they lie

    @abstractmethod
    def objects(self) -> Objects: ...

    def store(self, now: Callable[[], float]) -> LabelledStore:
        """One more store over this place, as another server has it."""
        return LabelledStore(self.objects(), now=now)

    async def two(
        self, now: Callable[[], float] = time.time
    ) -> tuple[LabelledStore, LabelledStore]:
        """The stores of two servers."""
        both = self.store(now), self.store(now)
        for one in both:
            await one.open()
        return both

    def ready(self, label: Label, file: Path) -> Label:
        """The label of an avatar with this file."""
        content = file.read_bytes()
        return replace(label, sha256=hashlib.sha256(content).hexdigest(), size=len(content))

    def keys(self) -> list[str]:
        """All that is there."""
        return list(self.objects().list())

    def write(self, key: str, content: bytes) -> None:
        self.objects().write(key, content)

    def remove(self, key: str) -> None:
        self.objects().remove(key)

    def clear(self) -> None:
        """Leave nothing."""
        for key in self.keys():
            self.remove(key)


class FolderPlace(Place):
    name, in_place = "folder", True

    def __init__(self, folder: Path) -> None:
        self.root = folder / "store"
        self.root.mkdir()

    def objects(self) -> FolderObjects:
        return FolderObjects(self.root)

    def clear(self) -> None:
        shutil.rmtree(self.root)


class MemoryPlace(Place):
    name, in_place = "memory", False
    scheme = "memory"

    def __init__(self, folder: Path) -> None:
        self.folder, self.url = folder, f"{self.scheme}://bucket/{uuid4().hex}"

    def objects(self) -> FsspecObjects:
        return FsspecObjects(self.url)

    def store(self, now: Callable[[], float]) -> LabelledStore:
        cache = LocalCache(self.folder / uuid4().hex, 1 << 20)
        return LabelledStore(self.objects(), cache, now)


class S3Place(MemoryPlace):
    """Needs the server of the fixture `s3`."""

    name, scheme = "s3", "s3"
