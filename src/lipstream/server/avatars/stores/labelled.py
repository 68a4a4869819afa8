"""A store of avatars over named bytes, the same for folders, buckets and memory.

    store.json               says that this is a store: an unmounted share is none
    ID/label.json            the description; it comes last, and only one server changes it
    ID/prepared.avatar       the prepared file
    ID/used-20421            the last day of a use, counted since 1970
    ID/deleted-1764385000    a tombstone: what is put after it is removed, for a day

So every question about what is there is answered by one listing, and a label is read only when it
has changed. A delete wins over a put at the same time: either the put sees the tombstone after it
has written its label, or the delete, which comes after its tombstone, sees that label.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lipstream.errors import ArchiveError
from lipstream.server.avatars.stores.base import (
    DeletedError,
    Label,
    StoredAvatar,
    StoreError,
    TakenError,
)
from lipstream.server.avatars.stores.blocking_calls import BlockingCalls
from lipstream.server.avatars.stores.local_cache import LocalCache
from lipstream.server.avatars.stores.objects import Objects

T = TypeVar("T")

MARKER, LABEL, AVATAR = "store.json", "label.json", "prepared.avatar"
MARK = b'{"format": "lipstream avatars", "version": 1}\n'
USED, DELETED = "used-", "deleted-"
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DAY_S = 24 * 3600
TOMBSTONE_S = DAY_S  # longer than any put takes, and than any listing is old
CALL_S = 5.0  # the deadline of small calls
TRANSFER_S = 120.0  # of a prepared file
MAX_CALLS, MAX_TRANSFERS = 4, 2  # at once

log = logging.getLogger("lipstream.server")


class LabelledStore:
    """An `AvatarStore`. Without a cache the prepared files are used where they lie."""

    def __init__(
        self,
        objects: Objects,
        cache: LocalCache | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._objects, self._cache, self._now = objects, cache, now
        self._calls, self._transfers = BlockingCalls(MAX_CALLS), BlockingCalls(MAX_TRANSFERS)
        self._labels: dict[str, tuple[str, Label | None]] = {}  # by id: (version, label if sound)

    async def open(self) -> None:
        """Mark the place as a store, unless it is one."""
        if self._cache is not None:
            await self._cache.open()
        await self._call(self._objects.open)
        try:
            await self._call(self._objects.write, MARKER, MARK, True, expected=FileExistsError)
        except FileExistsError:
            pass  # an earlier run or another server has marked it

    async def list(self) -> Mapping[str, StoredAvatar]:
        """All avatars that are not deleted; what deletes left is cleared."""
        keys = await self._call(self._objects.list)
        if MARKER not in keys:
            raise StoreError(f"its {MARKER} is missing: is its folder or bucket the right one?")
        avatars: dict[str, dict[str, str]] = {}
        for key, version in keys.items():
            avatar_id, separator, name = key.partition("/")
            if separator and ID.fullmatch(avatar_id):
                avatars.setdefault(avatar_id, {})[name] = version
        deleted = {one for one, names in avatars.items() if _numbers(names, DELETED)}
        for avatar_id in deleted:
            await self._bury(avatar_id, avatars[avatar_id])
        known = sorted(avatars.keys() - deleted)
        self._labels = {one: self._labels[one] for one in known if one in self._labels}
        labels = await asyncio.gather(*(self._label(one, avatars[one]) for one in known))
        return {
            one: StoredAvatar(label, self._unused_days(label, avatars[one]))
            for one, label in zip(known, labels, strict=True)
            if label is not None
        }

    async def fetch(self, avatar_id: str, label: Label) -> Path:
        """The prepared file: from the cache, or where it lies."""
        key = f"{avatar_id}/{AVATAR}"
        if self._cache is None or label.sha256 is None:
            path = self._objects.path(key)
            if path is None:
                raise ArchiveError("its label in the store has no hash; upload it again.")
            return path

        async def download(target: Path) -> None:
            try:
                arguments = self._objects.download, key, target
                await self._transfer(*arguments, expected=FileNotFoundError)
            except FileNotFoundError as error:
                raise DeletedError("the avatar is not in the store any more") from error

        return await self._cache.fetch(label.sha256, download)

    async def upload(self, avatar_id: str, file: Path) -> None:
        """Keep a copy of the file, unless the avatar was deleted."""
        await self._refuse_deleted(avatar_id)
        await self._transfer(self._objects.upload, f"{avatar_id}/{AVATAR}", file)

    async def put(self, avatar_id: str, label: Label, *, first: bool = False) -> None:
        """Keep the label; nothing of it is left when the avatar was deleted."""
        try:
            key = f"{avatar_id}/{LABEL}"
            content = label.to_json()
            await self._call(self._objects.write, key, content, first, expected=FileExistsError)
        except FileExistsError:
            raise TakenError(f"another server has put {avatar_id} first") from None
        await self._refuse_deleted(avatar_id)

    async def delete(self, avatar_id: str) -> None:
        """Write a tombstone, then remove the rest."""
        await self._call(
            self._objects.write, f"{avatar_id}/{DELETED}{int(self._now())}", b"deleted\n"
        )
        await self._clear(avatar_id)

    async def touch(self, avatar_id: str) -> None:
        """Note the day, and forget the days before."""
        today = f"{USED}{int(self._now()) // DAY_S}"
        await self._call(self._objects.write, f"{avatar_id}/{today}", b"used\n")
        for key in await self._call(self._objects.list, avatar_id):
            name = key.partition("/")[2]
            if name.startswith(USED) and name != today:
                await self._call(self._objects.remove, key)

    async def free_bytes(self) -> int | None:
        """The space left in the place."""
        return await self._call(self._objects.free_bytes)

    async def close(self) -> None:
        """End the use of the place and of the cache."""
        await self._call(self._objects.close)
        if self._cache is not None:
            await self._cache.close()

    async def _label(self, avatar_id: str, names: Mapping[str, str]) -> Label | None:
        """The label, read again only when it has changed; None for one that makes no sense."""
        version = names.get(LABEL)
        if version is None:
            return None
        kept, label = self._labels.get(avatar_id, ("", None))
        if kept == version:
            return label
        try:
            key = f"{avatar_id}/{LABEL}"
            content = await self._call(self._objects.read, key, expected=FileNotFoundError)
            label = Label.from_json(content)
        except FileNotFoundError:  # deleted meanwhile
            return None
        except (ValueError, TypeError, RecursionError):
            log.warning("the label of an avatar cannot be read", extra={"avatar": avatar_id[:8]})
            label = None
        self._labels[avatar_id] = version, label
        return label

    def _unused_days(self, label: Label, names: Iterable[str]) -> int | None:
        """The days since its last use, or else since it was made; None where neither is known."""
        last = max([*_numbers(names, USED), label.created // DAY_S])
        return int(self._now()) // DAY_S - last if last else None

    async def _refuse_deleted(self, avatar_id: str) -> None:
        """DeletedError for an avatar with a tombstone, of which then nothing is left."""
        keys = await self._call(self._objects.list, avatar_id)
        if _numbers([key.partition("/")[2] for key in keys], DELETED):
            await self._clear(avatar_id)
            raise DeletedError("the avatar was deleted")

    async def _clear(self, avatar_id: str) -> None:
        """Remove all but the tombstone, the label first."""
        keys = await self._call(self._objects.list, avatar_id)
        for key in sorted(keys, key=lambda key: not key.endswith(f"/{LABEL}")):
            if not key.partition("/")[2].startswith(DELETED):
                await self._call(self._objects.remove, key)

    async def _bury(self, avatar_id: str, names: Mapping[str, str]) -> None:
        """Finish a delete: remove what came late or was left, and in the end the tombstone."""
        if any(not name.startswith(DELETED) for name in names):
            await self._clear(avatar_id)
        elif max(_numbers(names, DELETED)) < self._now() - TOMBSTONE_S:
            for name in names:
                await self._call(self._objects.remove, f"{avatar_id}/{name}")

    async def _call(
        self, call: Callable[..., T], *arguments: Any, expected: type[Exception] = StoreError
    ) -> T:
        return await _reaching(self._calls.run(CALL_S, call, *arguments), expected)

    async def _transfer(
        self, call: Callable[..., T], *arguments: Any, expected: type[Exception] = StoreError
    ) -> T:
        return await _reaching(self._transfers.run(TRANSFER_S, call, *arguments), expected)


async def _reaching(answer: Coroutine[Any, Any, T], expected: type[Exception]) -> T:
    """The answer of the store; StoreError for every error but what is `expected`."""
    try:
        return await answer
    except (StoreError, expected):
        raise
    except Exception as error:  # of any library that fsspec loads
        words = str(error).strip().splitlines()
        raise StoreError(f"{type(error).__name__}: {words[0] if words else 'no words'}") from error


def _numbers(names: Iterable[str], prefix: str) -> list[int]:
    """The numbers behind `prefix` in the names that begin with it."""
    found = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return [int(digits) for digits in found if digits.isascii() and digits.isdigit()]
