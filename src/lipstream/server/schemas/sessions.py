"""The messages that open sessions and tell of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lipstream.config import MotionLevel
from lipstream.push.live_push import PushState
from lipstream.server.schemas.avatars import Face
from lipstream.server.schemas.message import Message


class IceServerInfo(Message):
    urls: list[str] = Field(examples=[["turn:turn.example.org:3478"]])
    username: str | None = None
    credential: str | None = None


class LiveKitRoom(Message):
    """A room that the avatar joins, as a participant beside the agent that speaks."""

    model_config = ConfigDict(extra="forbid", strict=True)
    url: Annotated[str, Field(min_length=1, max_length=1024, repr=False)] = Field(
        description="Of the LiveKit server: one that the server was started with.",
        examples=["wss://rooms.example.org"],
    )
    token: Annotated[str, Field(min_length=1, max_length=8000, repr=False)] = Field(
        description="The avatar's own access token: a grant to join the room, an identity, and "
        "the attribute `lk.publish_on_behalf`. It is never shown again.",
        examples=["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"],
    )
    agent_identity: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="The participant that speaks; nobody else is obeyed.", examples=["agent-1"]
    )


class SessionRequest(Message):
    model_config = ConfigDict(extra="forbid", strict=True)
    avatar: Annotated[str, Field(min_length=1, max_length=128, examples=["face"])]
    motion: MotionLevel | None = Field(
        None,
        description="The idle motion of a picture: `still`, `calm` or `lively`; by default the "
        "avatar's own, or the server's. A clip brings its own.",
    )
    replaces: Annotated[str | None, Field(min_length=1, max_length=128)] = Field(
        None,
        description="The id of a session that ends as this one takes its place, also while all "
        "places are taken. When this one is refused, that one goes on, but for a LiveKit room "
        "that cannot be joined: by then it has ended.",
    )
    record: bool = Field(
        True,
        description="False: this session is not kept, where the server records its sessions.",
    )
    push: Annotated[str | None, Field(min_length=1, max_length=2048, repr=False)] = Field(
        None,
        description="Where the session is pushed to, whoever watches: rtmp:// or rtmps://, or the "
        "https:// or http:// of an endpoint of WHIP, below one of the server's --push-to. It is "
        "never shown again.",
        examples=[None],
    )
    push_token: Annotated[
        str | None, Field(pattern=r"^[A-Za-z0-9._~+/-]{1,4096}=*$", repr=False)
    ] = Field(None, description="The bearer token of an endpoint of WHIP.", examples=[None])
    livekit: LiveKitRoom | None = Field(
        None, description="A LiveKit room to be shown in, instead of to a viewer.", examples=[None]
    )


ViewerState = Literal["waiting", "connecting", "connected", "lost"]


class SessionInfo(Message):
    """A session that waits for its connection. Addresses are paths on this server."""

    id: str = Field(examples=["8b3f0c4d7a1e4f5092d6c1a7b8e9f001"])
    avatar: str = Field(examples=["face"])
    token: str = Field(
        description="Opens this session's own calls and the picture of its avatar, until it ends, "
        "from a page of any origin. It is told this once.",
        examples=["pNq0m3cDvU5o4mZ0kq9bq0r3m0o2yO9rPZ1c1m3T6hE"],
        repr=False,
    )
    whep_url: str
    audio_url: str = Field(description="A WebSocket; change http to ws.")
    events_url: str = Field(description="A WebSocket that sends events alone.")
    microphone_url: str = Field(description="A WebSocket that sends what the viewer says.")
    speech_url: str
    say_url: str
    expires_at: str = Field(
        description="Unless connected by then, it is closed.", examples=["2026-01-01T12:00:15Z"]
    )
    ice_servers: list[IceServerInfo]
    look_ahead_ms: int = Field(
        description="Speech that the backend needs beyond a frame to draw it."
    )
    width: int
    height: int
    face: Face
    recorded: bool = Field(description="Whether the server keeps what is seen and heard of it.")


class PushInfo(Message):
    """The state of a session's push."""

    state: PushState = Field(description="`lost` is tried again, `failed` is not.")
    host: str = Field(description="Of its address.", examples=["live.example.org"])
    sent: int = Field(description="Frames that were sent.")
    left_out: int = Field(description="Frames for which there was no connection, or no room.")
    reason: str | None = Field(
        description="Why it is not connected.", examples=["Connection refused"]
    )


class SessionState(Message):
    """The state of a session."""

    state: ViewerState
    speaking: bool
    buffered_ms: int = Field(description="Speech of all utterances that waits to be played.")
    fps: float = Field(description="Frames sent per second, lately.")
    late: int
    repeated: int
    dropped: int
    skipped: int
    underruns: int
    push: PushInfo | None = Field(description="Null for a session that is not pushed.")


class SessionSummary(Message):
    """A session as an operator sees it. Its whole id, which opens it, is not told."""

    id: str = Field(description="As in the log; `DELETE` takes it.", examples=["8b3f0c4d"])
    avatar: str = Field(description="As in the log: an upload's id is cut.", examples=["face"])
    state: ViewerState
    age_s: int = Field(description="Seconds since it was opened.", examples=[74])
    speaking: bool
    fps: float = Field(description="Frames sent per second, lately.", examples=[25.0])
    recorded: bool
    push: PushState | None = Field(description="Null for one that is not pushed.")


class SessionList(Message):
    sessions: list[SessionSummary]
