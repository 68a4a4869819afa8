"""One avatar of the server, its progress and its small picture."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from lipstream.avatar.avatar import Avatar
from lipstream.config import MotionLevel
from lipstream.errors import LipstreamError, disk_is_full
from lipstream.server.admission import Cost
from lipstream.server.avatars.stores.base import Label, StoredAvatar
from lipstream.server.errors import DISK_FULL, ApiError, without_folders
from lipstream.server.schemas.avatars import AvatarInfo, Report

POSTER_SIDE = 480  # pixels
POSTER_QUALITY = 88
SHORT_ID = 8  # characters of an upload's id, in logs
BUG = "it could not be prepared because of a bug in lipstream; see the server's log."

log = logging.getLogger("lipstream.server")


@dataclass(eq=False)
class AvatarEntry:
    """One avatar and the state of its preparation. Changed on the event loop only."""

    id: str
    name: str
    permanent: bool  # given on the command line
    motion: MotionLevel | None = None  # of its sessions, unless they say; None: the server's
    status: Literal["preparing", "ready", "failed"] = "preparing"
    progress: float | None = None
    reason: str | None = None
    avatar: Avatar | None = None
    cost: Cost | None = None
    inflated: bool = False  # its cost was measured while sessions were drawn too
    borrowed: bool = False  # its cost is that of an avatar of the same size
    poster: bytes = b""  # JPEG
    size: int = 0  # bytes on the disk
    own: bool = False  # an upload that this server prepares
    label: Label | None = None  # as this server put it, or has followed it
    stored: StoredAvatar | None = None  # as the store lists it
    kept: int | None = 0  # looks at the store that began before it was kept; None: it is not yet
    silent_ms: int = 0  # for which the server that prepares it has not changed its label
    asked: bool = False  # for by its id, since that was last noted in the store
    writing: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)  # its label
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def short_id(self) -> str:
        """Its id in logs: that of an upload is cut, as knowing all of it is the right to use it."""
        return self.id if self.permanent else self.id[:SHORT_ID]

    def info(self) -> AvatarInfo:
        """The entry as a message of the API."""
        avatar = self.avatar if self.status == "ready" else None
        width, height = (None, None) if avatar is None else avatar.size
        return AvatarInfo(
            id=self.id,
            name=self.name,
            status=self.status,
            progress=self.progress if self.status == "preparing" else None,
            reason=self.reason,
            motion=self.motion,
            report=None if avatar is None else Report.model_validate(asdict(avatar.report)),
            width=width,
            height=height,
            face=None if avatar is None else face_center(avatar),
            picture_url=None if avatar is None else f"/v1/avatars/{self.id}/picture",
        )

    def fail(self, error: Exception, folder: Path | None) -> None:
        """Record why it cannot be used, without naming `folder`, where the server keeps avatars;
        unforeseen errors are logged with their traceback."""
        self.status, self.reason = "failed", BUG
        if isinstance(error, ApiError):
            self.reason = str(error.detail)
        elif disk_is_full(error):
            self.reason = DISK_FULL
        elif isinstance(error, LipstreamError):
            known = () if folder is None else (folder,)
            self.reason = without_folders(str(error), *known)
        elif isinstance(error, OSError):
            words = (error.strerror or "an error of the file system").lower()
            self.reason = f"its files could not be read or kept: {words}."
        extra = {"avatar": self.short_id, "reason": self.reason}
        log.warning("avatar failed", extra=extra, exc_info=error if self.reason == BUG else None)


class PartialProgress:
    """A part of the progress from 0 to 1. A clip's length is unknown before it is measured."""

    def __init__(self, entry: AvatarEntry, start: float, end: float) -> None:
        self._entry, self._start, self._end = entry, start, end

    def __call__(self, done: int, total: int | None) -> None:
        share = done / total if total else done / (done + 100)
        self._entry.progress = self._start + (self._end - self._start) * min(share, 1.0)


def face_center(avatar: Avatar) -> tuple[float, float] | None:
    """The middle of the face in the first picture that has one, as shares of width and height."""
    width, height = avatar.size
    for frame in avatar.frames:
        if frame.landmarks is not None:
            x, y = (frame.landmarks.min(0) + frame.landmarks.max(0)) / 2
            return round(float(x) / width, 3), round(float(y) / height, 3)
    return None


def poster(avatar: Avatar) -> bytes:
    """A small JPEG of the avatar's first picture."""
    import cv2
    import numpy as np

    pixels = avatar.at(0).pixels
    scale = POSTER_SIDE / max(pixels.shape[:2])
    if scale < 1:
        small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        pixels = np.asarray(small, np.uint8)
    quality = (cv2.IMWRITE_JPEG_QUALITY, POSTER_QUALITY)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)
    assert done
    return data.tobytes()
