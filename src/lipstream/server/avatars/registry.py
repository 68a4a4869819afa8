"""The avatars: those given on the command line, and those users upload.

Uploads are prepared in the background, one at a time. Sessions that show an avatar go on when it is
deleted; new ones cannot have it. An upload is listed only where uploads are shared: else it is for
those who know its id, which is random and told to its uploader alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.quiet_stretch import quiet_stretch
from lipstream.avatar.storage import load_avatar
from lipstream.config import MOTION_LEVELS, MotionLevel, face_choice, rotation
from lipstream.errors import OptionError
from lipstream.server.admission import Cost
from lipstream.server.avatars.cost_cache import cost_cache
from lipstream.server.avatars.decoders import Decoders
from lipstream.server.avatars.entry import AvatarEntry, PartialProgress, poster
from lipstream.server.avatars.sandbox import DecodeJob
from lipstream.server.avatars.uploads import Upload
from lipstream.server.errors import DISK_FULL, ApiError
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.settings import MEBIBYTE

AVATAR, LABEL = "prepared.avatar", "label.json"  # in the folder of each upload
NAME_LENGTH = 64
MAX_QUEUED = 4  # uploads that wait for their turn
MIN_FREE_BYTES = 64 * MEBIBYTE  # on the disk of the avatars, for a new one
MEASURED = 0.6  # of the progress bar: measuring the face; the rest is the backend's
REMEASURE_MS = 5_000  # between two looks for a calm moment

log = logging.getLogger("lipstream.server")


class AvatarRegistry:
    """All avatars of one server. Used on the event loop; the work is done elsewhere."""

    def __init__(self, manager: SessionManager, decoders: Decoders) -> None:
        self._decoders = decoders
        self._manager, self._settings, self._clock = manager, manager.settings, manager.clock
        self._runtime, self._capacity = manager.runtime, manager.capacity
        self._entries: dict[str, AvatarEntry] = {}
        self._turn = asyncio.Lock()
        self._folder: Path | None = None
        self._costs = cost_cache(manager.settings, manager.runtime)

    async def open(self, given: Mapping[str, Avatar]) -> None:
        """Prepare the avatars given, and those kept from an earlier run."""
        if self._settings.data is None:
            self._folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="lipstream-"))
        else:
            self._folder = self._settings.data
            await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        for name, avatar in given.items():
            entry = self._entries[name] = AvatarEntry(name, name, permanent=True)
            await self._show(entry, avatar)
        for folder in await asyncio.to_thread(lambda: sorted(self._root.iterdir())):
            if (folder / LABEL).is_file():
                await self._resume(folder)

    async def close(self) -> None:
        """Stop preparing, and delete everything that is not kept."""
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._entries.clear()
        if self._settings.data is None and self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def remeasure(self) -> None:
        """Measure inflated costs again whenever it is calm, until cancelled."""
        while True:
            await self._clock.sleep_until(self._clock.now_ms() + REMEASURE_MS)
            for entry in list(self._entries.values()):
                if entry.inflated and entry.avatar is not None and self._manager.calm:
                    try:
                        async with self._turn:
                            await self._measure(entry, entry.avatar)
                    except Exception as error:  # the cost known so far still stands
                        log.warning("avatar could not be measured again", exc_info=error)

    def list(self, unlisted: bool = False) -> list[AvatarEntry]:
        """The avatars of the command line, then those that users share, in the order of upload;
        with those that nobody shares where `unlisted`."""
        shown = unlisted or self._settings.share_uploads
        return [entry for entry in self._entries.values() if shown or entry.permanent]

    def find(self, avatar_id: str) -> AvatarEntry:
        """The avatar of this id in any state; ApiError 404."""
        entry = self._entries.get(avatar_id)
        if entry is None:
            raise ApiError(404, "this avatar does not exist; it may have been deleted.")
        return entry

    def ready(self, avatar_id: str) -> AvatarEntry:
        """The avatar of this id, ready to talk; ApiError 409 when it is not."""
        entry = self.find(avatar_id)
        if entry.status == "preparing":
            raise ApiError(409, "this avatar is still being prepared; wait until it is ready.")
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
        """Accept an upload and begin to prepare it. ApiError 400, 413, and those of
        `check_room`."""
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(upload.discard)
            motion = _motion(upload.fields.get("motion"))
            _check_framing(upload.fields)
            await self._decoders.run(self._job("probe", upload), upload.folder)
            await self.check_room()  # others may have come meanwhile
            name = " ".join(upload.fields.get("name", "").split()) or upload.path.stem
            printable = "".join(letter for letter in name if letter.isprintable())
            entry = AvatarEntry(secrets.token_hex(16), printable[:NAME_LENGTH], False, motion)
            self._entries[entry.id] = entry
            work = self._prepare(entry, upload)
            entry.task = asyncio.create_task(work, name=f"avatar {entry.short_id}")
            discard = cleanup.pop_all().close
            entry.task.add_done_callback(lambda _: discard())
            return entry

    async def remove(self, avatar_id: str) -> None:
        """Delete it and its files. ApiError 404, and 409 when it was given."""
        entry = self.find(avatar_id)
        if entry.permanent:
            raise ApiError(409, "this avatar was given on the command line and stays.")
        del self._entries[entry.id]
        self._capacity.forget(entry.id)
        if entry.task is not None:
            entry.task.cancel()
            await asyncio.gather(entry.task, return_exceptions=True)
        await asyncio.to_thread(shutil.rmtree, self._root / entry.id, ignore_errors=True)

    @property
    def _root(self) -> Path:
        assert self._folder is not None, "the registry is not open"
        return self._folder

    async def check_room(self) -> None:
        """ApiError 409, 503 or 507 when no more avatar can be taken in."""
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
        if sum(entry.status == "preparing" for entry in own) > MAX_QUEUED:
            message = "too many avatars wait to be prepared; try later."
            raise ApiError(503, message, headers={"Retry-After": "20"})
        usage = await asyncio.to_thread(shutil.disk_usage, self._root)
        if usage.free < MIN_FREE_BYTES:
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
        """Turn an upload into an avatar that can talk, or record why it cannot."""
        outcome = "failed"
        try:
            async with self._turn:
                entry.progress = 0.0
                bar = PartialProgress(entry, 0, MEASURED)
                await self._decoders.run(self._job("avatar", upload), upload.folder, bar, None)
                await asyncio.to_thread(self._store, entry, upload)
                avatar = await asyncio.to_thread(load_avatar, self._root / entry.id / AVATAR)
                await self._show(entry, avatar)
            outcome = "ready"
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except Exception as error:
            entry.fail(error, self._root)
            await asyncio.to_thread(shutil.rmtree, self._root / entry.id, ignore_errors=True)
        else:
            log.info("avatar ready", extra={"avatar": entry.short_id})
        finally:
            entry.task = None
            self._manager.metrics.avatars.labels(outcome).inc()

    async def _show(self, entry: AvatarEntry, avatar: Avatar) -> None:
        """Prepare it for the backend, measure what a frame costs, and make it ready."""
        bar = PartialProgress(entry, MEASURED, 1.0)
        quiet = quiet_stretch(avatar)
        entry.avatar = await asyncio.to_thread(self._runtime.prepare, quiet, bar)
        entry.poster = await asyncio.to_thread(poster, entry.avatar)
        await self._measure(entry, entry.avatar)
        entry.status = "ready"

    async def _measure(self, entry: AvatarEntry, avatar: Avatar) -> None:
        """Measure what a frame costs, unless another process has. Of two measurements the lower
        counts."""
        if entry.cost is None and self._costs is not None:
            entry.cost = await asyncio.to_thread(self._costs.find, avatar)
            if entry.cost is not None:
                self._learn(entry, entry.cost)
                return
        calm = self._manager.calm
        similar = (
            other.cost
            for other in self._entries.values()
            if other.avatar is not None and other.avatar.size == avatar.size and not other.inflated
        )
        like = next((cost for cost in similar if cost is not None), None)
        cost = await asyncio.to_thread(self._runtime.measure, avatar, like)
        entry.cost = cost if entry.cost is None else entry.cost.cheapest(cost)
        entry.inflated = not (calm and self._manager.calm)
        if self._costs is not None and not entry.inflated:
            await asyncio.to_thread(self._costs.keep, avatar, entry.cost)
        self._learn(entry, entry.cost)

    def _learn(self, entry: AvatarEntry, cost: Cost) -> None:
        if self._entries.get(entry.id) is entry:  # it may have been deleted meanwhile
            self._capacity.learn(entry.id, cost)

    async def _resume(self, folder: Path) -> None:
        """Prepare an avatar of an earlier run; one that fails is listed with its reason."""
        try:
            label = json.loads(await asyncio.to_thread((folder / LABEL).read_text, "utf-8"))
            name, motion = str(label["name"])[:NAME_LENGTH], _motion(label.get("motion"))
            entry = AvatarEntry(folder.name, name, False, motion)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ApiError):
            log.warning("folder is not an avatar", extra={"folder": folder.name})
            return
        if entry.id in self._entries:
            return
        self._entries[entry.id] = entry
        try:
            entry.size = await asyncio.to_thread(_bytes_in, folder)
            await self._show(entry, await asyncio.to_thread(load_avatar, folder / AVATAR))
        except Exception as error:  # one bad avatar must not keep the others from being served
            entry.fail(error, self._root)

    def _store(self, entry: AvatarEntry, upload: Upload) -> None:
        """Move it from the folder of the upload to its own."""
        folder = self._root / entry.id
        folder.mkdir()
        shutil.move(upload.folder / AVATAR, folder / AVATAR)
        (folder / LABEL).write_text(
            json.dumps({"name": entry.name, "motion": entry.motion}), "utf-8"
        )
        entry.size = _bytes_in(folder)


def _motion(text: str | None) -> MotionLevel | None:
    """The idle motion that an upload names; ApiError 422 for any other."""
    levels: dict[str | None, MotionLevel | None] = {None: None, "": None}
    levels |= {level: level for level in get_args(MotionLevel)}
    if text not in levels:
        raise ApiError(422, f"there is no motion {text!r}; use {', '.join(MOTION_LEVELS)}.")
    return levels[text]


def _check_framing(fields: Mapping[str, str]) -> None:
    """ApiError 422 unless `face` and `rotate`, where they are given, can be understood."""
    try:
        face_choice(fields.get("face") or "1")
        rotation(fields.get("rotate") or "none")
    except OptionError as error:
        raise ApiError(422, str(error)) from error


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
