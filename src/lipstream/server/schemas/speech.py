"""The messages about speech in a session."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from lipstream.server.schemas.message import Message
from lipstream.speech.synthesis.base import MAX_TEXT


class Spoken(Message):
    utterance: int = Field(description="Its id in this session; events carry it.", examples=[3])
    duration_ms: int = Field(description="Of the speech that was taken.", examples=[2400])
    warning: str | None = Field(
        None, description="Why the mouth will stay shut: the file is silent, or far too quiet."
    )


class SayRequest(Message):
    model_config = ConfigDict(extra="forbid", strict=True)
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT, examples=["Hello there."])]
    voice: Annotated[str | None, Field(min_length=1, max_length=100)] = Field(
        None, description="One of the server's voices; by default its own."
    )


class Said(Message):
    utterance: int = Field(description="Its id in this session; events carry it.", examples=[7])
    warning: str | None = Field(None, description="What of the text will not be heard.")


class Interrupted(Message):
    played_ms: int = Field(
        description="How much of the utterance that was speaking was played.", examples=[1320]
    )
