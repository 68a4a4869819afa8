"""Who is here: lets sessions in as long as they fit, keeps an eye on them, and sees them out."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from lipstream.server.errors import ApiError
from lipstream.server.metrics import TOTALS, SessionObserver
from lipstream.server.sessions.session import ServerSession

if TYPE_CHECKING:
    from lipstream.live.clock import Clock
    from lipstream.server.admission import Capacity
    from lipstream.server.avatars.store import AvatarEntry
    from lipstream.server.interfaces import MediaRuntime
    from lipstream.server.metrics import Metrics
    from lipstream.server.rtc.interfaces import Transport
    from lipstream.server.settings import ServeSettings

LOOK_MS = 500  # between two looks at deadlines and figures
ANSWER_S = 10.0  # an offer that is not answered by then is given up
CLOSE_S = 10.0  # a line that does not close by then is left behind, and logged
RETRY_S = 10
ENDED = "this session has ended; open a new one."

log = logging.getLogger("lipstream.server")


class SessionManager:
    """All sessions of one server. Used on the event loop only."""

    def __init__(
        self,
        settings: ServeSettings,
        runtime: MediaRuntime,
        capacity: Capacity,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._settings, self._runtime, self._capacity = settings, runtime, capacity
        self._metrics, self._clock = metrics, clock
        self._seats: dict[str, ServerSession] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._past: Counter[str] = Counter()  # figures of the sessions that are gone
        self.draining = False
        metrics.watch(self.totals)
        metrics.sessions.set_function(lambda: len(self._seats))
        metrics.max_sessions.set_function(lambda: capacity.sessions)

    def __len__(self) -> int:
        return len(self._seats)

    @property
    def busy(self) -> bool:
        """Whether anybody still has something to say."""
        return any(seat.busy for seat in self._seats.values())

    def open(self, entry: AvatarEntry, *, whep_only: bool = False) -> ServerSession:
        """Let one more in; ApiError 503 when there is no room."""
        if self.draining:
            raise self._full("the server is about to stop; use another one.", "stopping")
        if (fault := self._runtime.fault) is not None:
            raise self._full(fault, "fault")
        assert entry.avatar is not None and entry.cost is not None
        present = [seat.cost for seat in self._seats.values()]
        if not self._capacity.admits(present, entry.cost):
            raise self._full("all places are taken; try again in a while.", "full")
        session = self._runtime.open_session(entry.avatar)
        seat = ServerSession(
            secrets.token_hex(16),
            entry,
            session,
            self._settings,
            self._metrics,
            self._clock,
            whep_only,
        )
        self._seats[seat.id] = seat
        self._metrics.opened.inc()
        log.info("session opened", extra={"session": seat.short_id, "avatar": entry.id})
        return seat

    def find(self, session_id: str) -> ServerSession:
        """The session of this id; ApiError 404."""
        seat = self._seats.get(session_id)
        if seat is None or seat.closed:
            raise ApiError(404, "there is no such session; it may have ended. Open a new one.")
        return seat

    async def connect(self, seat: ServerSession, offer: str) -> str:
        """The SDP answer to a viewer's offer; a viewer there already is replaced by this one."""
        async with seat.lock:
            if seat.closed:
                raise ApiError(404, ENDED)
            await self._drop_line(seat)
            lines: list[Transport] = []
            observer = SessionObserver(self._metrics, lambda: self._pictured(seat, lines))
            line = self._runtime.open_connection(
                seat, seat.session, observer, lambda reason: self._lost(seat, line, reason)
            )
            lines.append(line)
            seat.line = line
            seat.connection += 1
            try:
                answer = await asyncio.wait_for(line.accept(offer), ANSWER_S)
            except BaseException as error:
                await self._drop_line(seat)
                if isinstance(error, asyncio.TimeoutError):
                    raise ApiError(503, "the connection could not be prepared in time.") from error
                raise
            if seat.closed:  # meanwhile
                await self._drop_line(seat)
                raise ApiError(404, ENDED)
            seat.enter("connecting")
            return answer

    async def disconnect(self, seat: ServerSession, connection: int | None = None) -> None:
        """The viewer leaves. A player's session ends with that; another may get a new viewer.

        Nothing happens when `connection` has been replaced by a newer one.
        """
        if connection not in (None, seat.connection):
            return
        if seat.whep_only:
            await self.close(seat, "left")
            return
        async with seat.lock:
            if seat.line is not None and connection in (None, seat.connection):
                await self._drop_line(seat)
                seat.enter("lost")

    async def close(self, seat: ServerSession, reason: str) -> None:
        """End a session and wait until nothing of it is left."""
        task = self._leaving.get(seat.id)
        if task is None and seat.id in self._seats:
            task = asyncio.create_task(self._leave(seat, reason), name=f"end of {seat.short_id}")
            self._leaving[seat.id] = task
        if task is not None:
            await asyncio.shield(task)  # who asked may go away; the session ends all the same

    async def close_id(self, session_id: str, reason: str) -> None:
        """The same by id; nothing happens when there is no such session."""
        seat = self._seats.get(session_id)
        if seat is not None:
            await self.close(seat, reason)

    def fail_all(self) -> None:
        """Begin to close all sessions, which cannot be served any more."""
        for session in list(self._seats.values()):
            self._begin(self.close(session, "failed"))

    async def close_all(self, reason: str) -> None:
        """End all sessions and whatever was begun in the background."""
        self.draining = True
        await asyncio.gather(*(self.close(seat, reason) for seat in list(self._seats.values())))
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def watch(self) -> None:
        """Look after everybody, for ever."""
        while True:
            await self._clock.sleep_until(self._clock.now_ms() + LOOK_MS)
            self.look()

    def look(self) -> None:
        """End what is overdue, and see whether frames come late."""
        for seat in list(self._seats.values()):
            self._metrics.buffered_ms.observe(seat.session.buffered_ms)
            if seat.session.closed and not seat.closed:
                self._begin(self.close(seat, "failed"))
            elif reason := seat.overdue:
                self._begin(self.close(seat, reason))
        totals = self.totals()
        overload = self._capacity.overload
        before = overload.raised
        behind = totals["late"] + totals["repeated"]
        overload.observe(self._clock.now_ms(), totals["units"], behind)
        if overload.raised != before:
            log.warning("overloaded" if overload.raised else "load is back to normal")

    def totals(self) -> dict[str, int]:
        """The figures of `TOTALS` over all sessions there ever were."""
        seats = list(self._seats.values())
        return {
            name: self._past[name] + sum(getattr(seat.session.counts, name) for seat in seats)
            for name in TOTALS
        }

    async def _leave(self, seat: ServerSession, reason: str) -> None:
        try:
            await asyncio.wait_for(seat.close(), CLOSE_S)
        except asyncio.TimeoutError:
            log.error("session did not close in time", extra={"session": seat.short_id})
        finally:
            counts = {name: getattr(seat.session.counts, name) for name in TOTALS}
            self._past.update(counts)
            self._seats.pop(seat.id, None)
            self._leaving.pop(seat.id, None)
            self._metrics.closed.labels(reason).inc()
            lasted = (self._clock.now_ms() - seat.opened_ms) // 1000
            told = {"session": seat.short_id, "reason": reason, "seconds": lasted}
            log.info("session closed", extra={**told, **counts})

    async def _drop_line(self, seat: ServerSession) -> None:
        line, seat.line = seat.line, None
        if line is not None:
            await line.close()

    def _pictured(self, seat: ServerSession, lines: list[Transport]) -> None:
        if seat.line in lines:
            seat.enter("connected")

    def _lost(self, seat: ServerSession, line: Transport, reason: str) -> None:
        """The viewer went without a word. A reconnecting one comes back within the grace time."""
        if seat.line is not line or seat.closed:
            return
        log.info("viewer lost", extra={"session": seat.short_id, "reason": reason})
        if seat.whep_only:
            self._begin(self.close(seat, "vanished"))
            return
        seat.line = None
        seat.enter("lost")
        self._begin(line.close())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _full(self, message: str, code: str) -> ApiError:
        return ApiError(503, message, code, {"Retry-After": str(RETRY_S)})
