"""The connections of viewers: made, replaced, lost and found again."""

from __future__ import annotations

import asyncio
import logging

from lipstream.server.errors import ENDED, IN_ROOM, ApiError
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.metrics import Metrics, SessionObserver
from lipstream.server.rtc.connection import WebRTCTransport
from lipstream.server.sessions.rooms import Begin, Close
from lipstream.server.sessions.session import ServerSession

ANSWER_S = 10.0  # an offer that is not answered by then is refused

log = logging.getLogger("lipstream.server")


class Viewers:
    """Connects the viewers of sessions. Used on the event loop only."""

    def __init__(self, runtime: MediaRuntime, metrics: Metrics, close: Close, begin: Begin) -> None:
        """`close` ends a session for a reason, `begin` does something in the background."""
        self._runtime, self._metrics = runtime, metrics
        self._close, self._begin = close, begin

    async def connect(self, session: ServerSession, offer: str) -> str:
        """The SDP answer to a viewer's offer; an earlier connection is replaced."""
        async with session.lock:
            if session.closed:
                raise ApiError(404, ENDED)
            if session.room is not None:  # since it was found
                raise ApiError(409, IN_ROOM, "in_room")
            await session.drop_connection()
            connection = session.connection = self._runtime.open_connection(
                session,
                session.live,
                session.voice,
                SessionObserver(self._metrics, lambda: self._first_picture(session, connection)),
                lambda reason: self._lost(session, connection, reason),
            )
            session.connection_id += 1
            try:
                answer = await asyncio.wait_for(connection.accept(offer), ANSWER_S)
            except BaseException as error:
                await session.drop_connection()
                if isinstance(error, asyncio.TimeoutError):
                    raise ApiError(503, "the connection could not be prepared in time.") from error
                raise
            if session.closed:  # meanwhile
                await session.drop_connection()
                raise ApiError(404, ENDED)
            session.enter("connecting")
            return answer

    async def disconnect(self, session: ServerSession, connection_id: int | None = None) -> None:
        """Close the viewer's connection, and the session too if `POST /whep` opened it. Nothing
        happens when `connection_id` has been replaced by a newer one."""
        if connection_id not in (None, session.connection_id):
            return
        if session.whep_only:
            await self._close(session, "left")
            return
        async with session.lock:
            if session.connection is not None and connection_id in (None, session.connection_id):
                await session.drop_connection()
                session.enter("lost")

    def _first_picture(self, session: ServerSession, connection: WebRTCTransport) -> None:
        if session.connection is connection:
            session.enter("connected")

    def _lost(self, session: ServerSession, connection: WebRTCTransport, reason: str) -> None:
        """Note that the peer vanished; it may connect again within the grace time."""
        if session.connection is not connection or session.closed:
            return
        log.info("viewer lost", extra={"session": session.short_id, "reason": reason})
        if session.whep_only:
            self._begin(self._close(session, "vanished"))
            return
        session.connection = None
        session.enter("lost")
        self._begin(connection.close())
