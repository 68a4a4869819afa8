"""The store of uploaded avatars, which servers may share, and what it says of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from lipstream.config import MotionLevel
from lipstream.errors import LipstreamError

Status = Literal["preparing", "ready", "failed"]

NAME_LENGTH = 64
MAX_REASON = 1_000  # characters
SHA256_DIGITS = 64


class StoreError(LipstreamError):
    """The store cannot be reached at present."""


class TakenError(StoreError):
    """Another server has put an avatar of this id first."""


class DeletedError(StoreError):
    """The avatar was deleted, for good: what is put afterwards is gone too."""


@dataclass(frozen=True, slots=True)
class Label:
    """The description of an avatar in a store. Only the server that prepares it changes it."""

    name: str
    motion: MotionLevel | None = None
    status: Status = "ready"
    reason: str | None = None  # why it failed
    progress: float | None = None  # 0 to 1, while it is prepared
    beat: int = 0  # counts the signs of life of the server that prepares it
    created: int = 0  # seconds since 1970; 0 where an older version has not kept it
    sha256: str | None = None  # of the prepared file
    size: int = 0  # its bytes

    def to_json(self) -> bytes:
        """The label as it is kept."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Label:
        """The label that `to_json` wrote; ValueError for anything else."""
        values = json.loads(content)
        if not isinstance(values, dict) or not isinstance(values.get("name"), str):
            raise ValueError("a label needs a name")
        known = {name: values[name] for name in cls.__slots__ if name in values}
        return cls(**{**known, "name": known["name"][:NAME_LENGTH]})

    def __post_init__(self) -> None:
        """ValueError unless each field has its own type and range: others write labels, too."""
        progress = 0 if self.progress is None else self.progress
        whole = (self.beat, self.created, self.size)
        sound = (
            self.status in get_args(Status)
            and (self.motion is None or self.motion in get_args(MotionLevel))
            and (self.reason is None or (isinstance(self.reason, str)))
            and len(self.reason or "") <= MAX_REASON
            and isinstance(progress, (int, float))
            and 0 <= progress <= 1
            and all(isinstance(number, int) and number >= 0 for number in whole)
            and (self.sha256 is None or _is_sha256(self.sha256))
        )
        if not sound:
            raise ValueError("a field of the label is not as it should be")


@dataclass(frozen=True, slots=True)
class StoredAvatar:
    """An avatar as a store lists it."""

    label: Label
    unused_days: int | None = None  # since it was used or made; None where that is not known


class AvatarStore(Protocol):
    """Avatars by their ids. Every call ends within its own deadline, with StoreError where the
    store cannot be reached, and leaves the event loop free. Used on the event loop only."""

    async def open(self) -> None:
        """Make the store ready for use; StoreError when that must be tried again."""
        ...

    async def list(self) -> Mapping[str, StoredAvatar]:
        """All avatars that are not deleted."""
        ...

    async def fetch(self, avatar_id: str, label: Label) -> Path:
        """A local copy of the prepared file. DeletedError when there is none any more, ArchiveError
        when what comes is not what the label says."""
        ...

    async def upload(self, avatar_id: str, file: Path) -> None:
        """Keep the prepared file of an avatar, whole or not at all; its label comes afterwards.
        DeletedError when the avatar was deleted."""
        ...

    async def put(self, avatar_id: str, label: Label, *, first: bool = False) -> None:
        """Keep the label, for all to see. With `first` the id must be new: TakenError when another
        server had it first. DeletedError when the avatar was deleted meanwhile; nothing of it is
        left then."""
        ...

    async def delete(self, avatar_id: str) -> None:
        """Remove an avatar for good; also one that is being put, and one that does not exist."""
        ...

    async def touch(self, avatar_id: str) -> None:
        """Note that the avatar is used today."""
        ...

    async def free_bytes(self) -> int | None:
        """The space left for avatars; None where that has no meaning."""
        ...

    async def close(self) -> None:
        """End the use of the store, and remove what it kept for this process alone."""
        ...


def _is_sha256(value: Any) -> bool:
    digits = set("0123456789abcdef")
    return isinstance(value, str) and len(value) == SHA256_DIGITS and set(value) <= digits
