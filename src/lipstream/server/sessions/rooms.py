"""Sessions that are shown in rooms of LiveKit: joined, watched over and left."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeAlias

from lipstream.errors import OptionError
from lipstream.integrations.livekit.room_address import RoomAddress, RoomServers
from lipstream.integrations.livekit.room_error import RoomError
from lipstream.live.session.types import Unit
from lipstream.live.session.utterance import Utterance
from lipstream.server.errors import ENDED, ApiError
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.metrics import Metrics
from lipstream.server.schemas.sessions import LiveKitRoom
from lipstream.server.sessions.session import ServerSession
from lipstream.server.settings import ServeSettings

NOT_SET_UP = (
    "this server joins no rooms of LiveKit; start it with --livekit and the address of the server "
    "that has them."
)
FOREIGN = (
    "this server may not join rooms of that LiveKit server; start it with --livekit and its "
    "address."
)
STOPPING = "the server is about to stop; use another one."
STATUS = {"refused": 422, "silent": 504, "unreachable": 502}

Close: TypeAlias = Callable[[ServerSession, str], Coroutine[Any, Any, None]]
Begin: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]

log = logging.getLogger("lipstream.server")


class Rooms:
    """Takes sessions into rooms. Used on the event loop only."""

    def __init__(
        self,
        settings: ServeSettings,
        runtime: MediaRuntime,
        metrics: Metrics,
        close: Close,
        begin: Begin,
    ) -> None:
        """`close` ends a session for a reason, `begin` does something in the background."""
        self._servers = RoomServers(settings.livekit)
        self._runtime, self._metrics = runtime, metrics
        self._close, self._begin = close, begin
        self._joining: set[ServerSession] = set()
        self._stopping = False

    def address(self, asked: LiveKitRoom) -> RoomAddress:
        """The room that is asked for. ApiError 501 when none can be joined, 422 for what is no
        room, 403 for one of a server that is not allowed."""
        return self._allowed(lambda: RoomAddress(asked.url, asked.token, asked.agent_identity))

    def address_by_token(self, url: str, token: str) -> RoomAddress:
        """The same for a room whose token names the agent."""
        return self._allowed(lambda: RoomAddress.by_token(url, token))

    def _allowed(self, read: Callable[[], RoomAddress]) -> RoomAddress:
        if not self._servers:
            raise ApiError(501, NOT_SET_UP, "no_livekit")
        try:
            address = read()
        except OptionError as error:
            raise ApiError(422, str(error)) from error
        if not self._servers.allowed(address):
            raise ApiError(403, FOREIGN, "livekit_not_allowed")
        return address

    async def join(self, session: ServerSession, address: RoomAddress) -> None:
        """Show a session in a room, and to no viewer any more. It is `connected` while its agent is
        there. ApiError 422, 502 or 504 when the room cannot be joined; it has ended then."""
        session.room = room = self._runtime.open_room(
            SpeakerInRoom(session),
            session.size,
            address,
            lambda here: self._agent_seen(session, here),
            lambda reason: self._lost(session, reason),
        )
        session.enter("connecting")
        self._joining.add(session)
        try:
            if session.disconnect_socket is not None:
                session.disconnect_socket()
            async with session.lock:
                await session.drop_connection()
            await room.join()
            if session.closed:  # meanwhile
                stopping = ApiError(503, STOPPING, "stopping")
                raise stopping if self._stopping else ApiError(404, ENDED)
        except BaseException as error:
            await self._close(session, "unconnected")
            if isinstance(error, RoomError):
                self._metrics.rooms.labels(error.reason).inc()
                raise ApiError(STATUS[error.reason], str(error), f"room_{error.reason}") from None
            raise
        finally:
            self._joining.discard(session)
        self._metrics.rooms.labels("joined").inc()
        log.info("room joined", extra={"session": session.short_id})

    def give_up(self) -> None:
        """The server stops: end the sessions whose rooms are still being joined, so that whoever
        asked for them is told."""
        self._stopping = True
        for session in self._joining:
            self._begin(self._close(session, "stopped"))

    def _agent_seen(self, session: ServerSession, here: bool) -> None:
        if not session.closed:
            session.enter("connected" if here else "lost")
            event = "agent came" if here else "agent left"
            log.info(event, extra={"session": session.short_id})

    def _lost(self, session: ServerSession, reason: str) -> None:
        self._metrics.rooms.labels("lost").inc()
        log.info("room lost", extra={"session": session.short_id, "reason": reason})
        self._begin(self._close(session, "left"))


class SpeakerInRoom:
    """A session as an agent in a room speaks in it."""

    def __init__(self, session: ServerSession) -> None:
        self._session = session

    def units(self) -> AsyncIterator[Unit]:
        """Its units as they become due."""
        return self._session.units()

    def open_utterance(self, sample_rate: int) -> Utterance:
        """Open an utterance in it."""
        return self._session.live.open_utterance(sample_rate)

    def interrupt(self) -> int:
        """Cancel all that is spoken or waits."""
        return self._session.interrupt()
