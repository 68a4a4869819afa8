"""The messages of the server about itself."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lipstream.server.schemas.message import Message


class Health(Message):
    status: Literal["ok"] = "ok"


class Readiness(Message):
    status: Literal["ready"] = "ready"


class Load(Message):
    """The figures by which a front places new sessions."""

    worker: str | None = Field(description="`--worker-id`.", examples=["w1"])
    sessions: int = Field(description="Sessions that are open.", examples=[3])
    sessions_max: int = Field(description="Sessions that fit, as measured.", examples=[12])
    free: int = Field(
        description="Sessions of the dearest avatar that may still be opened; 0 while none may.",
        examples=[9],
    )
    speaking: int = Field(description="Sessions in which somebody is spoken to.", examples=[2])
    draining: bool = Field(description="The server is about to stop.")
    overloaded: bool = Field(
        description="Frames come late: no session is admitted until it's calm."
    )
    late_share: float = Field(description="Of the frames, lately.", ge=0, le=1, examples=[0.0])


class Config(Message):
    """The configuration that a page needs before it has the token."""

    version: str = Field(examples=["0.1.0"])
    backend: str = Field(examples=["puppet"])
    reason: str = Field(description="Why this backend was chosen.")
    max_sessions: int = Field(description="Sessions that this machine can hold.", examples=[8])
    auth: bool = Field(description="Whether a token is needed.")
    say: bool = Field(description="Whether it can say text.")
    voices: list[str] = Field(
        description="Its voices, as far as they are known; the default one first.",
        examples=[["heart"]],
    )
