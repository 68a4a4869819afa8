"""Writes what this server has to say of avatars into the store, again where it was not heard."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lipstream.errors import disk_is_full
from lipstream.live.clock import Clock
from lipstream.server.avatars.entry import AvatarEntry
from lipstream.server.avatars.store_watch import LOOK_MS, StoreWatch
from lipstream.server.avatars.stores.base import (
    MAX_REASON,
    AvatarStore,
    DeletedError,
    Label,
    StoreError,
)
from lipstream.server.avatars.stores.local_cache import file_sha256
from lipstream.server.settings import ServeSettings

PATIENCE_MS = 600_000  # for which a prepared avatar waits for a store that is gone
FAILED_DAYS = 1  # for which a failed upload is remembered


class LabelKeeper:
    """The labels of one server's uploads, and the notes of uses. Used on the event loop only."""

    def __init__(
        self, store: AvatarStore, watch: StoreWatch, clock: Clock, settings: ServeSettings
    ) -> None:
        self._store, self._watch, self._clock, self._settings = store, watch, clock, settings

    async def renew(self, entries: Sequence[AvatarEntry]) -> None:
        """Tell how far own uploads are, which is also the sign of life."""
        for entry in entries:
            if not entry.own or entry.status != "preparing" or entry.writing.locked():
                continue
            assert entry.label is not None
            async with entry.writing:
                label = replace(entry.label, progress=entry.progress, beat=entry.label.beat + 1)
                try:
                    await self._store.put(entry.id, label)
                except DeletedError:
                    continue  # the next look does not find it
                except StoreError:
                    return  # the next look says so
                entry.label = label

    async def publish(self, entry: AvatarEntry, label: Label, file: Path) -> None:
        """Put the prepared file and its label, for `PATIENCE_MS` while the store is gone.
        DeletedError, StoreError, or the error of a disk that is full or must not be written."""
        until_ms = self._clock.now_ms() + PATIENCE_MS
        while True:
            try:
                await self._store.upload(entry.id, file)
                async with entry.writing:
                    await self._store.put(entry.id, label)
                    entry.label, entry.kept, entry.status = label, self._watch.looks, "ready"
                return
            except DeletedError:
                raise
            except StoreError as error:
                if disk_is_full(error) or isinstance(error.__cause__, PermissionError):
                    raise error.__cause__ or error from None
                if self._clock.now_ms() >= until_ms:
                    raise
            await self._clock.sleep_until(self._clock.now_ms() + LOOK_MS)

    async def fail(self, entry: AvatarEntry, reason: str | None) -> None:
        """Tell that an own upload failed; while the store is gone `maintain` does it later."""
        assert entry.label is not None
        async with entry.writing:
            short = None if reason is None else reason[:MAX_REASON]
            entry.label = replace(entry.label, status="failed", reason=short, progress=None)
            with contextlib.suppress(StoreError):
                await self._store.put(entry.id, entry.label)
                entry.kept = self._watch.looks

    async def maintain(self, entries: Sequence[AvatarEntry]) -> Sequence[AvatarEntry]:
        """Note uses, put labels again that an older one has overtaken, and delete what nobody uses;
        returns what it deleted. StoreError."""
        expired = []
        for entry in entries:
            stored = entry.stored
            if stored is None:
                continue
            with contextlib.suppress(DeletedError):
                if self._is_over(stored.label, stored.unused_days):
                    await self._store.delete(entry.id)
                    expired.append(entry)
                elif stored.unused_days is None or (entry.asked and stored.unused_days > 0):
                    await self._store.touch(entry.id)
                    entry.asked, entry.stored = False, replace(stored, unused_days=0)
                elif entry.own and entry.status != "preparing" and entry.label is not None:
                    if stored.label != entry.label:
                        await self._store.put(entry.id, entry.label)
        return expired

    def _is_over(self, label: Label, unused_days: int | None) -> bool:
        if unused_days is None:
            return False
        if label.status != "ready":  # one that is prepared for a day has no server any more
            return unused_days >= FAILED_DAYS
        kept = self._settings.share_uploads or not self._settings.upload_ttl_days
        return not kept and unused_days >= self._settings.upload_ttl_days


def ready_label(entry: AvatarEntry, file: Path) -> Label:
    """The label of an entry whose prepared file this is. Reads all of the file."""
    assert entry.label is not None
    size, sha256 = file.stat().st_size, file_sha256(file)
    return replace(entry.label, status="ready", progress=None, sha256=sha256, size=size)
