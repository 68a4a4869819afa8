"""The wishes of a client for its session, and which of them this server fulfils."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# Fields of a request that change what is seen there and nothing here.
IGNORED = (
    "avatar_position_x",
    "avatar_position_y",
    "background_id",
    "camera",
    "foreground_id",
    "startFrame",
    "streaming_height",
    "streaming_width",
)
STILL = "handleSilence: an avatar that waits goes on moving here."
EMOTION = "faceId: emotions are not supported; the part behind the slash is ignored."

Seconds = Annotated[int | None, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """The limits that the client itself set, beside those of the server."""

    max_session_s: int | None = None
    max_idle_s: int | None = None


class TokenRequest(BaseModel):
    """The body of `POST /compose/token`; fields that are not known are ignored."""

    model_config = ConfigDict(extra="allow", frozen=True)
    faceId: Annotated[str, Field(min_length=1, max_length=128)]
    handleSilence: bool | None = None
    maxSessionLength: Seconds = None
    maxIdleTime: Seconds = None
    audioInputFormat: Literal["pcm16"] | None = None

    @property
    def avatar(self) -> str:
        """The id of the avatar: of "anna/happy" it is "anna"."""
        return self.faceId.partition("/")[0]

    @property
    def terms(self) -> SessionTerms:
        return SessionTerms(self.maxSessionLength, self.maxIdleTime)

    @property
    def warnings(self) -> list[str]:
        """A sentence about each thing that was asked for and is not done."""
        given: dict[str, Any] = self.model_extra or {}
        found = [f"{name} is not supported here." for name in IGNORED if given.get(name)]
        if self.handleSilence is False:
            found.append(STILL)
        if "/" in self.faceId:
            found.append(EMOTION)
        return found
