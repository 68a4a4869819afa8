"""The messages of a session's WebSockets, both ways; `/asyncapi.json` describes them from here."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from lipstream.live.session.types import SessionEvent
from lipstream.server.errors import without_folders
from lipstream.server.schemas.message import HOUR, Message
from lipstream.server.schemas.sessions import ViewerState
from lipstream.server.schemas.speech import SayRequest

RENDER_FAILED = "some pictures of this utterance could not be drawn; its sound goes on."
UTTERANCE = "Its id in this session, counted from 1."
PLAYED = "How much of it was played."


class Incoming(BaseModel):
    """A text message from a client: JSON with these fields, each of exactly its type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class EndMessage(Incoming):
    """Ends the utterance that this socket sends; the next sound opens another."""

    model_config = ConfigDict(extra="ignore")
    type: Literal["end"]


class InterruptMessage(Incoming):
    """Cancels all speech of the session: what is spoken, what waits, what is being sent."""

    model_config = ConfigDict(extra="ignore")
    type: Literal["interrupt"]


class SayMessage(SayRequest):
    """Says a text behind what came before, as `POST .../say` does; answered by `queued`."""

    type: Literal["say"]


class CaptionMessage(Incoming):
    """Captions the sound that this socket sends, before its `end`; opens the utterance where it is
    the first of it."""

    type: Literal["caption"]
    text: Annotated[str, Field(min_length=1, max_length=1000, examples=["hello"])]
    at_ms: Annotated[int, Field(ge=0, le=HOUR, description="From the utterance's first sample.")]
    until_ms: Annotated[int | None, Field(ge=0, le=HOUR)] = Field(
        default=None, description="Without it the caption lasts until the next one."
    )
    opens_line: bool = Field(
        default=True, description="True where a sentence begins: what stood there goes."
    )


ClientMessage: TypeAlias = EndMessage | InterruptMessage | SayMessage | CaptionMessage
CLIENT_MESSAGES: TypeAdapter[ClientMessage] = TypeAdapter(
    Annotated[ClientMessage, Field(discriminator="type")]
)


class QueuedEvent(Message):
    """This socket has opened an utterance, or said a text."""

    type: Literal["queued"] = "queued"
    utterance: int = Field(description=UTTERANCE, examples=[3])


class StartedEvent(Message):
    """The first sound of an utterance is heard."""

    type: Literal["started"] = "started"
    utterance: int = Field(description=UTTERANCE, examples=[3])
    played_ms: int = Field(description=PLAYED, examples=[0])


class EndedEvent(Message):
    """An utterance was played to its end."""

    type: Literal["ended"] = "ended"
    utterance: int = Field(description=UTTERANCE, examples=[3])
    played_ms: int = Field(description=PLAYED, examples=[2400])


class InterruptedEvent(Message):
    """An utterance was cancelled."""

    type: Literal["interrupted"] = "interrupted"
    utterance: int | None = Field(
        default=None,
        description="Left out in the answer to an `interrupt` that found nothing.",
        examples=[3],
    )
    played_ms: int = Field(description=PLAYED, examples=[1320])


class FailedEvent(Message):
    """An utterance could not be encoded, or its text not synthesized; what came was spoken."""

    type: Literal["failed"] = "failed"
    utterance: int = Field(description=UTTERANCE, examples=[3])
    played_ms: int = Field(description=PLAYED, examples=[800])
    code: Literal["synthesis_failed"] | None = Field(
        default=None, description="Of a text that was not synthesized; else left out."
    )
    message: str | None = Field(default=None, description="With a code: a sentence for people.")


class CaptionEvent(Message):
    """This is heard now. Words of one line are joined by a space."""

    type: Literal["caption"] = "caption"
    utterance: int = Field(description=UTTERANCE, examples=[3])
    text: str = Field(examples=["hello"])
    at_ms: int = Field(description="From the beginning of the utterance.", examples=[400])
    until_ms: int | None = Field(description="null: until the next one.", examples=[720])
    opens_line: bool = Field(description="True where a sentence begins: what stood there goes.")


class BufferedEvent(Message):
    """Speech of all utterances that waits, when it has changed; at most four times a second."""

    type: Literal["buffered"] = "buffered"
    ms: int = Field(examples=[1480])


class ErrorEvent(Message):
    """A message was refused, or pictures of an utterance are missing (`render_failed`)."""

    type: Literal["error"] = "error"
    code: str = Field(
        description="A word for programs: `bad_message`, `bad_audio`, `bad_caption`, `invalid`, "
        "`no_voice`, `too_many_requests` or `render_failed`.",
        examples=["bad_message"],
    )
    message: str = Field(description="A sentence for people.")
    utterance: int | None = Field(default=None, description="With `render_failed`.")
    played_ms: int | None = Field(default=None, description="With `render_failed`.")


ServerEvent: TypeAlias = (
    QueuedEvent
    | StartedEvent
    | CaptionEvent
    | EndedEvent
    | InterruptedEvent
    | FailedEvent
    | BufferedEvent
    | ErrorEvent
)


class FormatEvent(Message):
    """The first message: what the binary ones are."""

    type: Literal["format"] = "format"
    encoding: Literal["s16le"] = Field(default="s16le", description="Signed 16-bit little-endian.")
    sample_rate: int = Field(description="As it was asked for, in Hz.", examples=[16_000])
    channels: Literal[1] = 1


class ViewerEvent(Message):
    """The state of the viewer, at the beginning and when it changes: `waiting` for one,
    `connecting`, `connected`, or `lost`, who may come back within 30 s."""

    type: Literal["viewer"] = "viewer"
    state: ViewerState


MicrophoneEvent: TypeAlias = FormatEvent | ViewerEvent
OF_UTTERANCES: dict[str, type[StartedEvent | EndedEvent | InterruptedEvent]] = {
    "started": StartedEvent,
    "ended": EndedEvent,
    "interrupted": InterruptedEvent,
}


def _type_of(model: type[BaseModel]) -> str:
    """The value of the field `type` of all its messages."""
    (value,) = get_args(model.model_fields["type"].annotation)
    return str(value)


CLIENT_MESSAGES_BY_TYPE = {_type_of(model): model for model in get_args(ClientMessage)}
SERVER_EVENTS_BY_TYPE = {_type_of(model): model for model in get_args(ServerEvent)}
MICROPHONE_EVENTS_BY_TYPE = {_type_of(model): model for model in get_args(MicrophoneEvent)}


def as_json(event: ServerEvent | MicrophoneEvent) -> str:
    """The event as it is sent: what has no value is left out, but for a caption's `until_ms`."""
    return event.model_dump_json(exclude_none=not isinstance(event, CaptionEvent))


def message_of(event: SessionEvent) -> ServerEvent:
    """The message that tells a client of an event."""
    utterance, played_ms = event.utterance, event.played_ms
    if event.kind == "render_failed":
        code, sentence = event.kind, RENDER_FAILED
        return ErrorEvent(code=code, message=sentence, utterance=utterance, played_ms=played_ms)
    if event.kind == "failed":
        failed = FailedEvent(utterance=utterance, played_ms=played_ms)
        if event.error is None:
            return failed
        sentence = without_folders(str(event.error))
        return failed.model_copy(update={"code": "synthesis_failed", "message": sentence})
    if event.caption is None:
        return OF_UTTERANCES[event.kind](utterance=utterance, played_ms=played_ms)
    caption, rate = event.caption, event.sample_rate
    return CaptionEvent(
        utterance=utterance,
        text=caption.text,
        at_ms=round(caption.start * 1000 / rate),  # as a client gave it, at any rate
        until_ms=None if caption.end is None else round(caption.end * 1000 / rate),
        opens_line=caption.opens_line,
    )
