"""The avatars: those given on the command line, and those users upload.

An upload is prepared in the background, one at a time. Who deletes an avatar in use takes it off
the shelf: sessions that show it go on, new ones cannot have it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lipstream.avatar.storage import load_avatar
from lipstream.errors import LipstreamError
from lipstream.server.avatars.sandbox import Order
from lipstream.server.avatars.uploads import Upload, discarded_on_error, run_isolated
from lipstream.server.errors import Refusal
from lipstream.server.schemas import AvatarInfo, Report

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.server.admission import Capacity, Cost
    from lipstream.server.interfaces import Stage
    from lipstream.server.metrics import Telemetry
    from lipstream.server.settings import ServeSettings

AVATAR, LABEL = "avatar", "label.json"  # in the folder of each upload
NAME_LENGTH = 64
POSTER_SIDE = 480  # pixels
POSTER_QUALITY = 88
QUEUED = 4  # uploads that wait for their turn
MEASURED = 0.6  # of the progress bar: measuring the face; the rest is the backend's
FAULT = "it could not be prepared because of a bug in lipstream; see the server's log."

log = logging.getLogger("lipstream.server")


@dataclass(eq=False)
class Exhibit:
    """One avatar and how far it is. Changed on the event loop only."""

    id: str
    name: str
    given: bool  # on the command line: it stays
    status: Literal["preparing", "ready", "failed"] = "preparing"
    progress: float | None = None
    reason: str | None = None
    avatar: Avatar | None = None
    cost: Cost | None = None
    poster: bytes = b""  # JPEG
    size: int = 0  # bytes on the disk
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def info(self) -> AvatarInfo:
        """As it goes over the wire."""
        avatar = self.avatar if self.status == "ready" else None
        report = None if avatar is None else asdict(avatar.report)
        return AvatarInfo(
            id=self.id,
            name=self.name,
            status=self.status,
            progress=self.progress if self.status == "preparing" else None,
            reason=self.reason,
            report=None
            if report is None
            else Report(**{**report, "warnings": list(report["warnings"])}),
            width=None if avatar is None else avatar.size[0],
            height=None if avatar is None else avatar.size[1],
            picture_url=None if avatar is None else f"/v1/avatars/{self.id}/picture",
        )


class Shelf:
    """All avatars of one server. Used on the event loop; the work is done elsewhere."""

    def __init__(
        self, settings: ServeSettings, stage: Stage, capacity: Capacity, telemetry: Telemetry
    ) -> None:
        self._settings, self._stage = settings, stage
        self._capacity, self._telemetry = capacity, telemetry
        self._exhibits: dict[str, Exhibit] = {}
        self._turn = asyncio.Lock()
        self._folder: Path | None = None

    async def open(self, given: Mapping[str, Avatar]) -> None:
        """Show the avatars given, and those kept from before."""
        if self._settings.data is None:
            self._folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="lipstream-"))
        else:
            self._folder = self._settings.data
            await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        for name, avatar in given.items():
            exhibit = self._exhibits[name] = Exhibit(name, name, given=True)
            await self._show(exhibit, avatar)
        for folder in await asyncio.to_thread(lambda: sorted(self._place.iterdir())):
            if (folder / LABEL).is_file():
                await self._resume(folder)

    async def close(self) -> None:
        """Stop preparing; forget everything that is not kept."""
        tasks = [exhibit.task for exhibit in self._exhibits.values() if exhibit.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._exhibits.clear()
        if self._settings.data is None and self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def list(self) -> list[Exhibit]:
        """All of them, the given ones first, then as they came."""
        return list(self._exhibits.values())

    def find(self, avatar_id: str) -> Exhibit:
        """The avatar of this id, however far it is; Refusal 404."""
        exhibit = self._exhibits.get(avatar_id)
        if exhibit is None:
            raise Refusal(404, "there is no such avatar; GET /v1/avatars lists those there are.")
        return exhibit

    def ready(self, avatar_id: str) -> Exhibit:
        """The same, ready to talk; Refusal 409 when it is not."""
        exhibit = self.find(avatar_id)
        if exhibit.status == "preparing":
            raise Refusal(409, "this avatar is still being prepared; wait until it is ready.")
        if exhibit.status == "failed":
            raise Refusal(409, f"this avatar cannot be used: {exhibit.reason}")
        return exhibit

    async def add(self, upload: Upload) -> Exhibit:
        """Take an upload and begin to prepare it. Refusals: 400, 413, 409 when there is no room."""
        with discarded_on_error(upload):
            self._check_room()
            await run_isolated(self._order("probe", upload), upload.folder)
            self._check_room()  # others may have come meanwhile
            name = " ".join(upload.fields.get("name", "").split()) or upload.path.stem
            printable = "".join(letter for letter in name if letter.isprintable())
            exhibit = Exhibit(secrets.token_hex(16), printable[:NAME_LENGTH], given=False)
            self._exhibits[exhibit.id] = exhibit
            exhibit.task = asyncio.create_task(
                self._prepare(exhibit, upload), name=f"avatar {exhibit.id[:8]}"
            )
            exhibit.task.add_done_callback(lambda _: upload.discard())
            return exhibit

    async def remove(self, avatar_id: str) -> None:
        """Take it off the shelf and delete its files. Refusal 404, and 409 when it was given."""
        exhibit = self.find(avatar_id)
        if exhibit.given:
            raise Refusal(409, "this avatar was given on the command line and stays.")
        del self._exhibits[exhibit.id]
        if exhibit.task is not None:
            exhibit.task.cancel()
            await asyncio.gather(exhibit.task, return_exceptions=True)
        await asyncio.to_thread(shutil.rmtree, self._place / exhibit.id, ignore_errors=True)

    @property
    def _place(self) -> Path:
        assert self._folder is not None, "the shelf is not open"
        return self._folder

    def _check_room(self) -> None:
        own = [exhibit for exhibit in self._exhibits.values() if not exhibit.given]
        if len(own) >= self._settings.max_avatars:
            raise Refusal(409, "the shelf is full; delete an avatar first.", "shelf_full")
        if sum(exhibit.size for exhibit in own) >= self._settings.avatar_space:
            raise Refusal(409, "the avatars take too much space; delete one first.", "shelf_full")
        if sum(exhibit.status == "preparing" for exhibit in own) > QUEUED:
            raise Refusal(
                503,
                "too many avatars wait to be prepared; try later.",
                headers={"Retry-After": "20"},
            )

    def _order(self, work: Literal["probe", "avatar"], upload: Upload) -> Order:
        settings = self._settings
        return Order(work, upload.path.name, AVATAR, settings.uploads, settings.max_side)

    async def _prepare(self, exhibit: Exhibit, upload: Upload) -> None:
        """From the upload to an avatar that can talk, or to the reason why not."""
        outcome = "failed"
        try:
            async with self._turn:
                exhibit.progress = 0.0
                await run_isolated(
                    self._order("avatar", upload), upload.folder, self._bar(exhibit, 0, MEASURED)
                )
                await asyncio.to_thread(self._store, exhibit, upload)
                avatar = await asyncio.to_thread(load_avatar, self._place / exhibit.id / AVATAR)
                await self._show(exhibit, avatar)
            outcome = "ready"
        except (Refusal, LipstreamError) as error:
            exhibit.reason = str(error.detail if isinstance(error, Refusal) else error)
        except OSError as error:
            exhibit.reason = f"its files could not be kept: {error.strerror or error}."
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except Exception:
            exhibit.reason = FAULT
            log.exception("avatar could not be prepared", extra={"avatar": exhibit.id[:8]})
        finally:
            exhibit.task = None
            if outcome == "failed":
                exhibit.status = "failed"
                shutil.rmtree(self._place / exhibit.id, ignore_errors=True)
            self._telemetry.avatars.labels(outcome).inc()
            told = {"avatar": exhibit.id[:8], "outcome": outcome, "reason": exhibit.reason}
            log.info("avatar prepared", extra=told)

    async def _show(self, exhibit: Exhibit, avatar: Avatar) -> None:
        """Let the backend do its part, measure what a frame costs, and be ready."""
        bar = self._bar(exhibit, MEASURED, 1.0)
        exhibit.avatar = await asyncio.to_thread(self._stage.prepare, avatar, bar)
        exhibit.cost = await asyncio.to_thread(self._stage.measure, exhibit.avatar)
        exhibit.poster = await asyncio.to_thread(poster, exhibit.avatar)
        self._capacity.learn(exhibit.cost)
        exhibit.status = "ready"

    async def _resume(self, folder: Path) -> None:
        """An avatar kept from an earlier run; one that cannot be used is shown with its reason."""
        try:
            label = json.loads(await asyncio.to_thread((folder / LABEL).read_text, "utf-8"))
            exhibit = Exhibit(folder.name, str(label["name"])[:NAME_LENGTH], given=False)
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("not an avatar of ours", extra={"folder": folder.name})
            return
        if exhibit.id in self._exhibits:
            return
        self._exhibits[exhibit.id] = exhibit
        try:
            exhibit.size = await asyncio.to_thread(_bytes_in, folder)
            await self._show(exhibit, await asyncio.to_thread(load_avatar, folder / AVATAR))
        except LipstreamError as error:
            exhibit.status, exhibit.reason = "failed", str(error)

    def _store(self, exhibit: Exhibit, upload: Upload) -> None:
        """From the folder of the upload to the place of its own."""
        place = self._place / exhibit.id
        place.mkdir()
        shutil.move(upload.folder / AVATAR, place / AVATAR)
        (place / LABEL).write_text(json.dumps({"name": exhibit.name}), "utf-8")
        exhibit.size = _bytes_in(place)

    def _bar(self, exhibit: Exhibit, start: float, end: float) -> _Bar:
        return _Bar(exhibit, start, end)


class _Bar:
    """A part of the way from 0 to 1. A clip's length is not known before it is measured."""

    def __init__(self, exhibit: Exhibit, start: float, end: float) -> None:
        self._exhibit, self._start, self._end = exhibit, start, end

    def __call__(self, done: int, total: int | None) -> None:
        share = done / total if total else done / (done + 100)
        self._exhibit.progress = self._start + (self._end - self._start) * min(share, 1.0)


def poster(avatar: Avatar) -> bytes:
    """A small JPEG of the avatar's first picture."""
    import cv2
    import numpy as np

    pixels = avatar.at(0).pixels
    scale = POSTER_SIDE / max(pixels.shape[:2])
    if scale < 1:
        pixels = np.asarray(
            cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    quality = (cv2.IMWRITE_JPEG_QUALITY, POSTER_QUALITY)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)
    assert done
    return data.tobytes()


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
