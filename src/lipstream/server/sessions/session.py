"""One session of the server: its live session, its viewer's connection, and its deadlines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

from lipstream.live.clock import Clock
from lipstream.live.session.session import Session
from lipstream.live.session.types import Unit
from lipstream.server.admission import Cost
from lipstream.server.avatars.entry import AvatarEntry, face_center
from lipstream.server.errors import ApiError
from lipstream.server.metrics import Metrics
from lipstream.server.rtc.connection import WebRTCTransport
from lipstream.server.schemas.sessions import ViewerState
from lipstream.server.sessions.deadlines import Deadlines, Presence
from lipstream.server.sessions.ending import end_all
from lipstream.server.sessions.session_outputs import SessionOutputs
from lipstream.server.sessions.speech_intake import SpeechIntake
from lipstream.server.sessions.viewer_voice import ViewerVoice
from lipstream.server.settings import ServeSettings

if TYPE_CHECKING:
    from lipstream.integrations.livekit.room_avatar import RoomAvatar

FIGURE_MS = 1_000  # least time between two readings of the frame rate
SHORT_ID = 8  # characters
MAX_LISTENERS = 4  # sockets of one session that are sent events alone


class ServerSession:
    """Everything that belongs to one session id. Used on the event loop only."""

    def __init__(
        self,
        session_id: str,
        entry: AvatarEntry,
        live: Session,
        settings: ServeSettings,
        metrics: Metrics,
        clock: Clock,
        whep_only: bool,
    ) -> None:
        assert entry.avatar is not None and entry.cost is not None
        self.id = session_id
        self.size, self.face = entry.avatar.size, face_center(entry.avatar)
        self._entry = entry
        self.live = live
        self.whep_only = whep_only  # opened by a WHEP player, which knows no session to return to
        self.connection: WebRTCTransport | None = None
        self.room: RoomAvatar | None = None  # that it is shown in, without a viewer's connection
        self.connection_id = 0  # of the newest one; requests that name an older one come too late
        self.state: ViewerState = "waiting"
        self.voice = ViewerVoice(self.touch)
        self.lock = asyncio.Lock()  # of the connection
        self.closed = False
        self.disconnect_socket: Callable[[], None] | None = None  # of the WebSocket for speech
        self._listeners: list[Callable[[], None]] = []  # end those that are sent events alone
        self._metrics, self._clock = metrics, clock
        self._deadlines = Deadlines(settings, clock)
        self._interrupted_ms: int | None = None  # of an interrupt that is still heard
        self.intake = SpeechIntake(live, clock, self.short_id, self.touch)
        self._fps, self._read_at = 0.0, (clock.now_ms(), live.counts.units)
        self.outputs = SessionOutputs(live, self._time_interrupt)
        self._pushed = False  # as was told last
        self._remove_listener = live.add_listener(lambda event: self.touch())

    @property
    def cost(self) -> Cost:
        """The cost of a frame, as measured last."""
        assert self._entry.cost is not None
        return self.outputs.cost(self._entry.cost)

    def push_changed(self, *, connected: bool) -> None:
        """Note that its push was connected or lost, or that another try has failed. Deadlines count
        from now only where that is a change, as a server that is gone is tried for ever."""
        if connected != self._pushed:
            self._pushed = connected
            self._deadlines.restart()
        if connected:
            self.outputs.draw()

    def units(self) -> AsyncIterator[Unit]:
        """The units of the session, for its viewer."""
        return self.outputs.units()

    @property
    def short_id(self) -> str:
        """Enough to find it in a log and too little to use it."""
        return short_id(self.id)

    @property
    def avatar_id(self) -> str:
        """The id of its avatar, as short as in a log."""
        return self._entry.short_id

    @property
    def age_s(self) -> int:
        """Seconds since it was opened."""
        return self._deadlines.age_s

    @property
    def busy(self) -> bool:
        """True while speech is spoken, waits, or is uploaded or synthesized."""
        speaking = self.live.speaking or self.live.buffered_ms > 0
        return speaking or self.intake.busy

    @property
    def watched(self) -> bool:
        """True while a viewer is there, or about to be, or it is pushed."""
        return self.state == "connecting" or self._presence.seen

    @property
    def _presence(self) -> Presence:
        return Presence(self.state, self.outputs.push_state)

    @property
    def patience_s(self) -> int:
        """Seconds that it waits for a connection."""
        return self._deadlines.patience_s(self._presence)

    @property
    def deadline_ms(self) -> int:
        """The time at which it ends unless something happens."""
        return self._deadlines.end_ms(self._presence, self.busy)

    @property
    def overdue(self) -> str:
        """The reason why it ends now, in a word; empty when it does not."""
        return self._deadlines.overdue(self._presence, self.busy)

    def touch(self) -> None:
        """Postpone its end for being idle."""
        self._deadlines.touch()

    def enter(self, state: ViewerState) -> None:
        """Change the state of the connection; its deadlines count from now."""
        self.state = state
        self._deadlines.restart()
        self.voice.see(state)

    def interrupt(self) -> int:
        """Cancel all speech: spoken, waiting, or still on its way. Returns what was played, ms."""
        self.touch()
        if self.live.speaking:
            self._interrupted_ms = self._clock.now_ms()
        return self.live.interrupt()

    @contextlib.contextmanager
    def listening(self, leave: Callable[[], None]) -> Iterator[None]:
        """Call `leave` when the session ends. ApiError 429 when as many listen as may."""
        if len(self._listeners) >= MAX_LISTENERS:
            raise ApiError(429, f"{MAX_LISTENERS} sockets listen to this session; close one first.")
        self._listeners.append(leave)
        try:
            yield
        finally:
            self._listeners.remove(leave)

    def fps(self) -> float:
        """Units per second since the last call, at least a second ago."""
        then, before = self._read_at
        now, units = self._clock.now_ms(), self.live.counts.units
        if now - then >= FIGURE_MS:
            self._fps, self._read_at = 1000 * (units - before) / (now - then), (now, units)
        return self._fps

    async def close(self) -> None:
        """End everything that belongs to it. May be called twice; the second returns at once."""
        if self.closed:
            return
        self.closed = True
        if self.disconnect_socket is not None:
            self.disconnect_socket()
        for leave in tuple(self._listeners):
            leave()
        self.voice.close()
        self.live.close()  # cancels all utterances, so that the tasks end
        self.outputs.finish()
        ending = [self.intake.wait_ended(), self.live.wait_closed(), self._disconnect()]
        ending.append(self.outputs.close(self.short_id))
        if self.room is not None:
            ending.append(self.room.close())
        await end_all(self.short_id, *ending)
        self._remove_listener()

    def _time_interrupt(self, unit: Unit) -> None:
        """Measure when the first silent unit after an interrupt is given out."""
        if self._interrupted_ms is not None and not unit.speaking:
            self._metrics.interrupt_ms.observe(self._clock.now_ms() - self._interrupted_ms)
            self._interrupted_ms = None

    async def _disconnect(self) -> None:
        async with self.lock:
            await self.drop_connection()

    async def drop_connection(self) -> None:
        """Close the viewer's connection, if there is one. Call it with `lock` held."""
        connection, self.connection = self.connection, None
        if connection is not None:
            await connection.close()


def short_id(session_id: str) -> str:
    """The part of an id that logs show."""
    return session_id[:SHORT_ID]
