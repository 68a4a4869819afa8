"""The session of an avatar beside that of an agent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from livekit import api, rtc
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    AgentSession,
    APIConnectOptions,
    NotGivenOr,
    get_job_context,
)
from livekit.agents.types import ATTRIBUTE_PUBLISH_ON_BEHALF
from livekit.agents.utils import is_given
from livekit.agents.voice.avatar import AvatarSession as BaseAvatarSession
from livekit.agents.voice.avatar import DataStreamAudioOutput

from .errors import LipstreamException
from .server import AvatarServer, RoomSession

if TYPE_CHECKING:
    from lipstream.integrations.livekit.local_avatar import LocalAvatar

SPEECH_RATE = 24_000  # Hz
IDENTITY = "lipstream-avatar-agent"  # of the server's participant in the room
Mode = Literal["local", "server"]
MOTIONS = ("still", "calm", "lively")


class AvatarSession(BaseAvatarSession[Literal["metrics_collected"]]):
    """Shows a lipstream avatar that says what the agent says.

    With `server_url`, or the variable LIPSTREAM_URL, a lipstream server joins the room as a
    participant of its own; without, the face is drawn in this process and published by the agent.
    """

    def __init__(
        self,
        *,
        avatar: str,
        mode: NotGivenOr[Mode] = NOT_GIVEN,
        server_url: NotGivenOr[str] = NOT_GIVEN,
        api_key: NotGivenOr[str] = NOT_GIVEN,
        motion: Literal["still", "calm", "lively"] | None = None,
        avatar_participant_identity: str = IDENTITY,
        avatar_participant_name: str = IDENTITY,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> None:
        """`avatar` is the id of one of the server's avatars, or, drawn here, a picture, a clip or
        an .avatar file. `api_key`, else LIPSTREAM_API_KEY, is the token of the server."""
        super().__init__()
        url = server_url if is_given(server_url) else os.getenv("LIPSTREAM_URL")
        if not is_given(mode):
            mode = "server" if url else "local"
        if mode not in ("local", "server"):
            raise LipstreamException(f'mode must be "local" or "server", not {mode!r}.')
        if mode == "server" and not url:
            raise LipstreamException('mode "server" needs server_url, or LIPSTREAM_URL.')
        if motion not in (None, *MOTIONS):
            raise LipstreamException(f"motion must be one of {', '.join(MOTIONS)}, not {motion!r}.")
        key = api_key if is_given(api_key) else os.getenv("LIPSTREAM_API_KEY")
        self._avatar, self._motion = avatar, motion
        self._server = AvatarServer(url, key, conn_options) if mode == "server" and url else None
        self._identity, self._name = avatar_participant_identity, avatar_participant_name
        self._local: LocalAvatar | None = None
        self._session: RoomSession | None = None

    @property
    def avatar_identity(self) -> str:
        """The participant that shows the face: the server's, or the agent itself."""
        if self._server is None and self._room is not None:
            return str(self._room.local_participant.identity)
        return self._identity

    @property
    def provider(self) -> str:
        return "lipstream"

    async def start(
        self,
        agent_session: AgentSession[Any],
        room: rtc.Room,
        *,
        livekit_url: NotGivenOr[str] = NOT_GIVEN,
        livekit_api_key: NotGivenOr[str] = NOT_GIVEN,
        livekit_api_secret: NotGivenOr[str] = NOT_GIVEN,
    ) -> None:
        """Show the avatar in `room`. With a server the three others, else LIVEKIT_URL,
        LIVEKIT_API_KEY and LIVEKIT_API_SECRET, let it join; it gets a token, not the secret."""
        try:
            if self._server is None:
                await self._start_here(agent_session, room)
            else:
                keys = livekit_url, livekit_api_key, livekit_api_secret
                await self._start_there(self._server, agent_session, room, *keys)
        except BaseException:
            await self.aclose()
            raise

    async def _start_there(
        self,
        server: AvatarServer,
        agent_session: AgentSession[Any],
        room: rtc.Room,
        livekit_url: NotGivenOr[str],
        livekit_api_key: NotGivenOr[str],
        livekit_api_secret: NotGivenOr[str],
    ) -> None:
        url = livekit_url if is_given(livekit_url) else os.getenv("LIVEKIT_URL")
        key = livekit_api_key if is_given(livekit_api_key) else os.getenv("LIVEKIT_API_KEY")
        secret = (
            livekit_api_secret if is_given(livekit_api_secret) else os.getenv("LIVEKIT_API_SECRET")
        )
        if not url or not key or not secret:
            raise LipstreamException(
                "livekit_url, livekit_api_key and livekit_api_secret must be given, or set as "
                "LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET."
            )
        await super().start(agent_session, room)
        agent = _agent_identity(room)
        token = (
            api.AccessToken(key, secret)
            .with_kind("agent")
            .with_identity(self._identity)
            .with_name(self._name)
            .with_grants(api.VideoGrants(room_join=True, room=_room_name(room)))
            .with_attributes({ATTRIBUTE_PUBLISH_ON_BEHALF: agent})
            .to_jwt()
        )
        self._session = await server.open_session(
            self._avatar,
            {"url": url, "token": token, "agent_identity": agent},
            motion=self._motion,
        )
        agent_session.output.replace_audio_tail(
            DataStreamAudioOutput(
                room,
                destination_identity=self._identity,
                sample_rate=SPEECH_RATE,
                wait_remote_track=rtc.TrackKind.KIND_VIDEO,
                wait_playback_start=True,
            )
        )

    async def aclose(self) -> None:
        """Take the avatar out of the room. May be called twice."""
        if self._server is None and (room := self._room) is not None:
            # The base class would remove the participant that shows the face: the agent itself.
            room.off("connection_state_changed", self._on_connection_state_changed)
            self._room = None
        await super().aclose()
        local, self._local = self._local, None
        if local is not None:
            await local.close()
        session, self._session = self._session, None
        if session is not None and self._server is not None:
            await self._server.close_session(session)

    async def _start_here(self, agent_session: AgentSession[Any], room: rtc.Room) -> None:
        try:
            from lipstream.errors import LipstreamError
            from lipstream.integrations.livekit.local_avatar import LocalAvatar
        except ImportError as error:
            raise LipstreamException(
                "to draw in this process, install lipstream (`pip install "
                "'/path/to/lipstream[livekit]'`); else give server_url."
            ) from error
        try:
            self._local = await LocalAvatar.open(self._avatar, motion=self._motion)
        except LipstreamError as error:
            raise LipstreamException(str(error)) from error
        await super().start(agent_session, room)
        await self._local.start(room)
        agent_session.output.replace_audio_tail(self._local.output)


def _agent_identity(room: rtc.Room) -> str:
    """The identity of this agent, also before its room is connected."""
    job = get_job_context(required=False)
    if job is not None:
        return str(job.local_participant_identity)
    if not room.isconnected():
        raise LipstreamException("connect the room before the avatar starts.")
    return str(room.local_participant.identity)


def _room_name(room: rtc.Room) -> str:
    job = get_job_context(required=False)
    return str(room.name if job is None else job.job.room.name)
