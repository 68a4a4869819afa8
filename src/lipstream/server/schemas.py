"""The JSON messages of the API, with examples for the documentation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from lipstream.config import MotionLevel
from lipstream.push.live_push import PushState
from lipstream.speech.synthesis.base import MAX_TEXT

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


Count = Annotated[int, Field(ge=0, le=2**53)]
Milliseconds = Annotated[float, Field(ge=0, le=HOUR, allow_inf_nan=False)]


class BrowserStats(Message):
    """Recent measurements of a page; every field may be left out."""

    model_config = ConfigDict(extra="ignore", strict=True)  # pages may know more
    fps: Annotated[float | None, Field(ge=0, le=1000, allow_inf_nan=False)] = None
    av_offset_ms: Annotated[float | None, Field(ge=-HOUR, le=HOUR, allow_inf_nan=False)] = None
    latency_ms: Milliseconds | None = None
    rtt_ms: Milliseconds | None = None
    jitter_audio_ms: Milliseconds | None = None
    jitter_video_ms: Milliseconds | None = None
    concealed_ms: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    dropped: Count | None = None
    freezes: Count | None = None
    packets_lost: Annotated[int | None, Field(ge=-(2**53), le=2**53)] = None
