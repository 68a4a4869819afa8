"""The shape of all messages of the API, and that of refusals."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

HOUR = 3_600_000  # ms


class Message(BaseModel):
    """A message with exactly these fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ErrorDetail(Message):
    code: str = Field(description="A word for programs.", examples=["not_found"])
    message: str = Field(
        description="A sentence for people.", examples=["session 4f1c does not exist."]
    )


class ErrorBody(Message):
    """The body of every refusal."""

    error: ErrorDetail
