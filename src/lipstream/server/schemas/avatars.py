"""The messages about avatars."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lipstream.config import MotionLevel
from lipstream.server.schemas.message import Message


class Report(Message):
    """The suitability of a picture or clip; lengths in pixels of the prepared picture."""

    width: int
    height: int
    frames: int
    faces_found: int
    faces_filled: int
    faces_lost: int
    shots: int
    people: int
    eye_distance: float
    face_height: float
    mouth_width: float
    mouth_open: float
    roll: float
    yaw: float
    jitter: float
    warnings: list[str] = Field(description="What could be better, one sentence each.")


Face = Annotated[
    tuple[float, float] | None,
    Field(
        description="The middle of the face, as shares of width and height.", examples=[[0.5, 0.42]]
    ),
]


class AvatarInfo(Message):
    """An avatar and the state of its preparation."""

    id: str = Field(examples=["face"])
    name: str = Field(examples=["face"])
    status: Literal["preparing", "ready", "failed"]
    progress: float | None = Field(
        description="0 to 1 while preparing, where it is known.", ge=0, le=1
    )
    reason: str | None = Field(description="Why it failed, in one sentence.")
    motion: MotionLevel | None = Field(
        description="The idle motion of a picture that it was uploaded with; null: the server's."
    )
    report: Report | None
    width: int | None = Field(examples=[512])
    height: int | None = Field(examples=[512])
    face: Face
    picture_url: str | None = Field(examples=["/v1/avatars/face/picture"])


class AvatarList(Message):
    avatars: list[AvatarInfo]
