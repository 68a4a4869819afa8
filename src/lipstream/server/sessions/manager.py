"""Creates, limits, monitors and closes sessions."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from lipstream.config import MotionLevel
from lipstream.live.clock import Clock
from lipstream.server.admission import Capacity
from lipstream.server.avatars.entry import AvatarEntry
from lipstream.server.errors import IN_ROOM, ApiError, without_folders
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.metrics import TOTALS, Metrics
from lipstream.server.outputs.recorder import OnEvent
from lipstream.server.schemas.service import Load
from lipstream.server.security.session_tokens import SessionTokens
from lipstream.server.sessions.outputs import OutputChoice, Outputs
from lipstream.server.sessions.rooms import Rooms
from lipstream.server.sessions.session import ServerSession, short_id
from lipstream.server.sessions.viewers import Viewers
from lipstream.server.settings import ServeSettings

CHECK_MS = 500  # between two checks of deadlines and counts
MAX_LATE_MS = 1_000  # of a check; a later one means that this process stood still
CLOSE_S = 10.0  # a connection that does not close by then is left behind, and logged
ID_BYTES = 16
RETRY_S = "10"

OVERLOADED = (
    "overloaded: frames come late, so no session is admitted until it is calm; end other work on "
    "this machine, lower --max-sessions, or choose smaller avatars"
)
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
        self.settings, self.runtime, self.capacity = settings, runtime, capacity
        self.metrics, self.clock = metrics, clock
        self.tokens = SessionTokens(settings.worker_id)
        # Told `session.opened` of each session, and later `session.closed` or `session.failed`.
        self.on_event: OnEvent = lambda event, data: None
        self.outputs = Outputs(settings, runtime, metrics, lambda *event: self.on_event(*event))
        self.rooms = Rooms(settings, runtime, metrics, self.close, self._begin)
        self.viewers = Viewers(runtime, metrics, self.close, self._begin)
        self._sessions: dict[str, ServerSession] = {}
        self._closing: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed_counts: Counter[str] = Counter()  # of the closed sessions
        self.draining = False
        metrics.watch(self.totals)
        metrics.gauge("sessions", "Sessions that are open.", lambda: len(self._sessions))
        metrics.gauge("sessions_max", "Sessions that fit, as measured.", lambda: capacity.sessions)

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def speaking(self) -> int:
        """Sessions in which speech is spoken or waits while somebody watches."""
        return sum(session.busy and session.watched for session in self._sessions.values())

    @property
    def load(self) -> Load:
        """The figures by which a front decides which server gets the next session."""
        overload = self.capacity.overload
        shut = self.draining or self.runtime.fault is not None
        present = [session.cost for session in self._sessions.values()]
        return Load(
            worker=self.settings.worker_id,
            sessions=len(self),
            sessions_max=self.capacity.sessions,
            free=0 if shut else self.capacity.free(present),
            speaking=self.speaking,
            draining=self.draining,
            overloaded=overload.raised,
            late_share=round(overload.share, 4),
        )

    @property
    def calm(self) -> bool:
        """True while so little is drawn that costs can be measured."""
        return len(self._sessions) <= 1 and not self.capacity.overload.raised

    def open(
        self,
        entry: AvatarEntry,
        *,
        whep_only: bool = False,
        motion: MotionLevel | None = None,
        replaces: str | None = None,
        outputs: OutputChoice | None = None,
    ) -> ServerSession:
        """Open a session, with the avatar's own `motion` by default; ApiError 503 without room.

        It takes the place of the session `replaces`, which ends, also while the server is full or
        overloaded; when it is refused that one goes on. An unknown one is not replaced.
        """
        if self.draining:
            raise _full("the server is about to stop; use another one.", "stopping")
        if (fault := self.runtime.fault) is not None:
            raise _full(without_folders(fault), "fault")
        assert entry.avatar is not None and entry.cost is not None
        replaced = None if replaces in self._closing else self._sessions.get(replaces or "")
        others = [session.cost for session in self._sessions.values() if session is not replaced]
        before = None if replaced is None else replaced.cost
        outputs = outputs or OutputChoice()
        cost = self.outputs.cost(entry.cost, outputs)
        if not self.capacity.admits(others, cost, before):
            raise _full("all places are taken; try again in a while.", "full")
        live = self.runtime.open_session(entry.avatar, motion or entry.motion)
        session = ServerSession(
            self._new_id(), entry, live, self.settings, self.metrics, self.clock, whep_only
        )
        self._sessions[session.id] = session
        self.outputs.attach(session, outputs)
        if replaced is not None:
            self._end(replaced, "replaced")
        self.metrics.opened.inc()
        fields = {"session": session.short_id, "avatar": session.avatar_id}
        log.info("session opened", extra=fields)
        self.on_event("session.opened", {"session": session.id, "avatar": session.avatar_id})
        return session

    @property
    def open_sessions(self) -> list[ServerSession]:
        """Those that are not about to end, in the order in which they were opened."""
        return [session for session in self._sessions.values() if not session.closed]

    def find(self, session_id: str) -> ServerSession:
        """The session of this id; ApiError 404."""
        session = self._sessions.get(session_id)
        if session is None or session.closed:
            raise ApiError(404, "there is no such session; it may have ended. Open a new one.")
        return session

    def find_free(self, session_id: str) -> ServerSession:
        """The session of this id, unless an agent in a room has it to itself; ApiError 404, 409."""
        if (session := self.find(session_id)).room is not None:
            raise ApiError(409, IN_ROOM, "in_room")
        return session

    async def close(self, session: ServerSession, reason: str) -> None:
        """End a session and wait until nothing of it is left."""
        if (task := self._end(session, reason)) is not None:
            await asyncio.shield(task)  # the session ends also when the caller is cancelled

    async def close_id(self, session_id: str, reason: str) -> None:
        """End the session of this id, whole or short, if there is one."""
        for session in list(self._sessions.values()):
            if session_id in (session.id, session.short_id):
                await self.close(session, reason)

    def fail_all(self) -> None:
        """Begin to close all sessions, which cannot be served any more."""
        for session in list(self._sessions.values()):
            self._begin(self.close(session, "failed"))

    async def close_all(self, reason: str) -> None:
        """End all sessions, all background tasks and all that becomes of them."""
        self.draining = True
        sessions = list(self._sessions.values())
        await asyncio.gather(*(self.close(session, reason) for session in sessions))
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.outputs.close()

    async def watch(self) -> None:
        """Check all sessions every half second, until cancelled; after a stall one check is left
        out, so that what came meanwhile is read before anybody is judged."""
        stood_still = False
        while True:
            due_ms = self.clock.now_ms() + CHECK_MS
            await self.clock.sleep_until(due_ms)
            stood_still = not stood_still and self.clock.now_ms() - due_ms > MAX_LATE_MS
            if not stood_still:
                self.check()

    def check(self) -> None:
        """End the sessions that are overdue, and observe how many frames are late."""
        for session in list(self._sessions.values()):
            self.metrics.buffered_ms.observe(session.live.buffered_ms)
            if session.live.closed and not session.closed:
                self._begin(self.close(session, "failed"))
            elif reason := session.overdue:
                self._begin(self.close(session, reason))
        totals, overload = self.totals(), self.capacity.overload
        before, behind = overload.raised, totals["late"] + totals["repeated"]
        overload.observe(self.clock.now_ms(), totals["units"], behind)
        if overload.raised and not before:
            late = f"{100 * overload.share:.1f} %"
            log.warning(OVERLOADED, extra={"late": late, "sessions": len(self)})
        elif before and not overload.raised:
            log.info("load is back to normal", extra={"sessions": len(self)})

    def totals(self) -> dict[str, int]:
        """The counts of `TOTALS` over all sessions since the start."""
        counts = [session.live.counts for session in self._sessions.values()]
        return {
            name: self._closed_counts[name] + sum(getattr(one, name) for one in counts)
            for name in TOTALS
        }

    def _end(self, session: ServerSession, reason: str) -> asyncio.Task[None] | None:
        """Begin to end a session; None when nothing of it is left."""
        self.tokens.revoke(session.id)
        task = self._closing.get(session.id)
        if task is None and session.id in self._sessions:
            ending = self._close(session, reason)
            task = asyncio.create_task(ending, name=f"end of {session.short_id}")
            self._closing[session.id] = task
        return task

    def _new_id(self) -> str:
        """A random id, and the worker's; no open session has one that begins alike, so that a log
        names one only."""
        worker = "" if self.settings.worker_id is None else f"-{self.settings.worker_id}"
        taken = {session.short_id for session in self._sessions.values()}
        while short_id(session_id := secrets.token_hex(ID_BYTES) + worker) in taken:
            pass
        return session_id

    async def _close(self, session: ServerSession, reason: str) -> None:
        try:
            await asyncio.wait_for(session.close(), CLOSE_S)
        except asyncio.TimeoutError:
            log.error("session did not close in time", extra={"session": session.short_id})
        finally:
            counts = {name: getattr(session.live.counts, name) for name in TOTALS}
            self._closed_counts.update(counts)
            self._sessions.pop(session.id, None)
            self._closing.pop(session.id, None)
            self.metrics.closed.labels(reason).inc()
            end = {"reason": reason, "seconds": session.age_s}
            log.info("session closed", extra={"session": session.short_id} | end | counts)
            event = "session.failed" if reason == "failed" else "session.closed"
            who = {"session": session.id, "avatar": session.avatar_id}
            self.on_event(event, who | end)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _full(message: str, code: str) -> ApiError:
    return ApiError(503, message, code, {"Retry-After": RETRY_S})
