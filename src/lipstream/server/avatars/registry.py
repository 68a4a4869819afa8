"""The avatars: those given on the command line, and those users upload.

Uploads are kept in a store, which other servers may share. The server that got an upload prepares
it, one at a time, and says in the store how far it is; the others follow, and take in what is
ready. Sessions that show an avatar go on when it is deleted; new ones cannot have it. An upload is
listed only where uploads are shared: else it is for those who know its id, which is random and told
to its uploader alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Literal

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.storage import load_avatar
from lipstream.server.avatars.backend_preparation import MEASURED, BackendPreparation
from lipstream.server.avatars.decoders import Decoders
from lipstream.server.avatars.entry import AvatarEntry, PartialProgress
from lipstream.server.avatars.label_keeper import LabelKeeper, ready_label
from lipstream.server.avatars.sandbox import DecodeJob
from lipstream.server.avatars.store_watch import LOOK_MS, Look, StoreWatch
from lipstream.server.avatars.stores.base import AvatarStore, DeletedError, Label, StoreError
from lipstream.server.avatars.upload_fields import check_framing, motion_of, name_of
from lipstream.server.avatars.uploads import Upload
from lipstream.server.errors import DISK_FULL, ApiError
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.settings import MEBIBYTE

AVATAR = "prepared.avatar"  # in the folder of an upload
MAX_QUEUED = 4  # uploads that wait for their turn
MIN_FREE_BYTES = 64 * MEBIBYTE  # on the disk of the avatars, for a new one
LEASE_MS = 10_000  # for which a server that prepares an avatar may be silent
ABANDONED = "the server that prepared it has stopped; upload it again."
STOPPED = "the server was stopped while it prepared this avatar; upload it again."

log = logging.getLogger("lipstream.server")


class AvatarRegistry:
    """All avatars of one server. Used on the event loop; the work is done elsewhere."""

    def __init__(self, manager: SessionManager, decoders: Decoders, store: AvatarStore) -> None:
        self._decoders, self._store = decoders, store
        self._manager, self._settings, self._clock = manager, manager.settings, manager.clock
        self._entries: dict[str, AvatarEntry] = {}
        self._backend = BackendPreparation(manager, self._entries)
        self._watch = StoreWatch(store, self._clock, self._take_in)
        self._labels = LabelKeeper(store, self._watch, self._clock, manager.settings)
        self._turn = asyncio.Lock()  # of uploads
        self._deleted: dict[str, int] = {}  # here, with the number of looks that had begun
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, given: Mapping[str, Avatar]) -> None:
        """Prepare the avatars given, and those of the store, if it can be reached."""
        for name, avatar in given.items():
            entry = self._entries[name] = AvatarEntry(name, name, permanent=True)
            await self._backend.show(entry, avatar)
            entry.status = "ready"
        with contextlib.suppress(StoreError):  # it is logged, and looked for again
            await self._watch.look()
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Stop preparing, and tell the others."""
        own = [entry for entry in self._entries.values() if entry.own]
        unfinished = [entry for entry in own if entry.status == "preparing"]
        for entry in self._entries.values():  # what was dropped was cancelled: twice cuts it short
            if entry.task is not None:
                entry.task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self._labels.fail(entry, STOPPED) for entry in unfinished))
        self._entries.clear()
        with contextlib.suppress(StoreError):  # nothing of it is ours alone
            await self._store.close()

    async def remeasure(self) -> None:
        """Measure inflated costs again whenever it is calm, until cancelled."""
        await self._backend.remeasure()

    async def follow(self) -> None:
        """Say in the store how far own uploads are, and see what is there, until cancelled."""
        while True:
            await self._clock.sleep_until(self._clock.now_ms() + LOOK_MS)
            entries = [entry for entry in self._entries.values() if not entry.permanent]
            await self._labels.renew(entries)
            with contextlib.suppress(StoreError):  # it is logged, and looked for again
                await self._watch.look()
                for entry in await self._labels.maintain(entries):
                    self._deleted[entry.id] = self._watch.looks
                    self._drop(entry)

    def list(self, unlisted: bool = False) -> list[AvatarEntry]:
        """The avatars of the command line, then those that users share, in the order of upload;
        with those that nobody shares where `unlisted`."""
        shown = unlisted or self._settings.share_uploads
        return [entry for entry in self._entries.values() if shown or entry.permanent]

    async def find(self, avatar_id: str) -> AvatarEntry:
        """The avatar of this id in any state, which counts as a use of it; ApiError 404, StoreError
        when only the store could tell."""
        if avatar_id not in self._entries:
            await self._watch.seek()
        entry = self._entries.get(avatar_id)
        if entry is None:
            raise ApiError(
                404,
                "this avatar does not exist; check its name, or upload it again if it was deleted.",
            )
        entry.asked = True
        return entry

    async def ready(self, avatar_id: str) -> AvatarEntry:
        """The avatar of this id, ready to talk; ApiError 409 when it is not."""
        entry = await self.find(avatar_id)
        if entry.status == "preparing":
            message = "this avatar is still being prepared; wait until it is ready."
            raise ApiError(409, message, "preparing", {"Retry-After": "1"})
        if entry.status == "failed":
            raise ApiError(409, f"this avatar cannot be used: {entry.reason}")
        return entry

    def first(self) -> AvatarEntry:
        """The first avatar that is offered to everybody and ready to talk; ApiError 404."""
        for entry in self.list():
            if entry.status == "ready":
                return entry
        raise ApiError(404, "no avatar is offered; upload one, or start the server with --avatar.")

    async def add(self, upload: Upload) -> AvatarEntry:
        """Accept an upload and begin to prepare it. ApiError 400, 413, StoreError, and those of
        `check_room`."""
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(upload.discard)
            motion, name = motion_of(upload.fields), name_of(upload)
            check_framing(upload.fields)
            await self._decoders.run(self._job("probe", upload), upload.folder)
            await self.check_room()  # others may have come meanwhile
            entry = AvatarEntry(secrets.token_hex(16), name, False, motion, own=True, kept=None)
            entry.label = Label(name, motion, "preparing", created=int(time.time()))
            self._entries[entry.id] = entry
            cleanup.callback(self._drop, entry)
            await self._store.put(entry.id, entry.label, first=True)
            entry.kept = self._watch.looks
            cleanup.pop_all()
        task = self._begin(entry, self._prepare(entry, upload))
        task.add_done_callback(lambda _: upload.discard())
        return entry

    async def remove(self, avatar_id: str) -> None:
        """Delete it and its files, everywhere. ApiError 404, 409 when it was given, StoreError."""
        entry = await self.find(avatar_id)
        if entry.permanent:
            raise ApiError(409, "this avatar was given on the command line and stays.")
        await self._store.delete(entry.id)
        self._deleted[entry.id] = self._watch.looks
        self._drop(entry)

    async def check_room(self) -> None:
        """ApiError 409, 503 or 507 when no more avatar can be taken in; StoreError."""
        await self._watch.look()
        own = [entry for entry in self._entries.values() if not entry.permanent]
        if len(own) >= self._settings.max_avatars:
            raise ApiError(
                409,
                f"{len(own)} avatars are uploaded already, as many as may be; delete one of yours.",
                "avatar_limit",
            )
        if sum(entry.size for entry in own) >= self._settings.avatar_space:
            raise ApiError(
                409, "the avatars take too much space; delete one first.", "avatar_limit"
            )
        if sum(entry.own and entry.status == "preparing" for entry in own) > MAX_QUEUED:
            message = "too many avatars wait to be prepared; try later."
            raise ApiError(503, message, headers={"Retry-After": "20"})
        free = await self._store.free_bytes()
        if free is not None and free < MIN_FREE_BYTES:
            raise ApiError(507, DISK_FULL)

    def _job(self, work: Literal["probe", "avatar"], upload: Upload) -> DecodeJob:
        settings, fields = self._settings, upload.fields
        return DecodeJob(
            work,
            upload.path.name,
            AVATAR,
            settings.uploads,
            settings.max_side,
            face=fields.get("face"),
            rotate=fields.get("rotate"),
        )

    async def _prepare(self, entry: AvatarEntry, upload: Upload) -> None:
        """Turn an upload into an avatar that can talk and is kept, or record why it cannot."""
        outcome, file = "failed", upload.folder / AVATAR
        try:
            async with self._turn:
                entry.progress = 0.0
                bar = PartialProgress(entry, 0, MEASURED)
                await self._decoders.run(self._job("avatar", upload), upload.folder, bar, None)
                await self._backend.show(entry, await asyncio.to_thread(load_avatar, file))
            label = await asyncio.to_thread(ready_label, entry, file)
            entry.size = label.size
            await self._labels.publish(entry, label, file)
            outcome = "ready"
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except DeletedError:
            outcome = "cancelled"
            self._drop(entry)
        except Exception as error:
            entry.fail(error, self._settings.store_folder or self._settings.data)
            await self._labels.fail(entry, entry.reason)
        else:
            log.info("avatar ready", extra={"avatar": entry.short_id})
        finally:
            self._manager.metrics.avatars.labels(outcome).inc()

    async def _adopt(self, entry: AvatarEntry, label: Label) -> None:
        """Make ready what another server, or an earlier run, has prepared."""
        try:
            path = await self._store.fetch(entry.id, label)
            avatar, entry.size = await asyncio.to_thread(_load, path)
            await self._backend.show(entry, avatar, borrow=True)
            entry.status = "ready"
        except StoreError:
            pass  # it is tried again after the next look; or it was deleted
        except Exception as error:  # one bad avatar must not keep the others from being served
            entry.fail(error, self._settings.store_folder or self._settings.data)

    def _take_in(self, look: Look) -> None:
        """Follow what the store lists, but for what has changed here since the look began."""
        found = look.found
        for one in sorted(found, key=lambda one: (found[one].label.created, one)):
            if self._deleted.get(one, 0) < look.number:
                self._follow(one, look)
        for entry in list(self._entries.values()):
            known = entry.kept is not None and entry.kept < look.number
            if known and not entry.permanent and entry.id not in found:
                self._drop(entry)
        self._deleted.clear()  # the next look begins after all these deletes

    def _follow(self, avatar_id: str, look: Look) -> None:
        stored = look.found[avatar_id]
        label, entry = stored.label, self._entries.get(avatar_id)
        if entry is None:
            entry = self._entries[avatar_id] = AvatarEntry(avatar_id, label.name, False)
        if entry.permanent or entry.kept is None or entry.kept >= look.number:
            return
        entry.stored = stored
        if entry.own:
            return
        entry.silent_ms = entry.silent_ms + look.elapsed_ms if label == entry.label else 0
        changed, entry.label = label != entry.label, label
        entry.name, entry.motion = label.name, label.motion
        if label.status == "preparing":
            abandoned = entry.silent_ms >= LEASE_MS
            entry.status, entry.progress = "failed" if abandoned else "preparing", label.progress
            entry.reason = ABANDONED if abandoned else None
        elif label.status == "failed":
            entry.status, entry.reason = "failed", label.reason
        elif entry.avatar is None and entry.task is None and (changed or entry.status != "failed"):
            entry.status, entry.reason = "preparing", None
            self._begin(entry, self._adopt(entry, label))

    def _begin(self, entry: AvatarEntry, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"avatar {entry.short_id}")

        def end(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            entry.task = None

        task.add_done_callback(end)
        self._tasks.add(task)
        entry.task = task
        return task

    def _drop(self, entry: AvatarEntry) -> None:
        """Forget it; sessions that show it have all they need."""
        if self._entries.get(entry.id) is entry:
            del self._entries[entry.id]
            self._manager.capacity.forget(entry.id)
        if entry.task is not None:
            entry.task.cancel()


def _load(path: Path) -> tuple[Avatar, int]:
    """The avatar of a file, and the file's size in bytes."""
    return load_avatar(path), path.stat().st_size
