"""One session of the server: its talking person, the line to its viewer, and when it must end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal

from lipstream.server.errors import ApiError

if TYPE_CHECKING:
    from lipstream.live.clock import Clock
    from lipstream.live.session import Session, SessionEvent, Unit
    from lipstream.server.admission import Cost
    from lipstream.server.avatars.store import AvatarEntry
    from lipstream.server.metrics import Metrics
    from lipstream.server.rtc.interfaces import Transport
    from lipstream.server.settings import ServeSettings

State = Literal["waiting", "connecting", "connected", "lost"]
FIGURE_MS = 1_000  # least time between two readings of the frame rate
MAX_SPEECHES = 4  # uploaded files that may wait to be spoken


class ServerSession:
    """Everything that belongs to one session id. Used on the event loop only."""

    def __init__(
        self,
        id: str,
        entry: AvatarEntry,
        session: Session,
        settings: ServeSettings,
        metrics: Metrics,
        clock: Clock,
        whep_only: bool,
    ) -> None:
        assert entry.avatar is not None and entry.cost is not None
        self.id = id
        self.size = entry.avatar.size
        self.cost: Cost = entry.cost
        self.session = session
        self.whep_only = whep_only  # opened by a WHEP player, which knows no session to return to
        self.line: Transport | None = None
        self.connection = 0  # which line it is; what is asked of an older one comes too late
        self.state: State = "waiting"
        self.lock = asyncio.Lock()  # of the line
        self.speaking = False
        self.closed = False
        self.hang_up: Callable[[], None] | None = None  # ends the WebSocket that feeds this seat
        self._settings, self._metrics, self._clock = settings, metrics, clock
        now = clock.now_ms()
        self.opened_ms = self._changed_ms = self._touched_ms = now
        self._interrupted_ms: int | None = None
        self._speeches: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()  # files are spoken one after the other
        self._fps, self._read_at = 0.0, (now, session.counts.units)
        self._forget = session.add_listener(self._heard)

    async def units(self) -> AsyncIterator[Unit]:
        """What the session gives out, watched on its way to the viewer."""
        units = self.session.units()
        try:
            async for unit in units:
                if self._interrupted_ms is not None and not unit.speaking:
                    waited = self._clock.now_ms() - self._interrupted_ms
                    self._metrics.interrupt_ms.observe(waited)
                    self._interrupted_ms = None
                yield unit
        finally:
            if isinstance(units, AsyncGenerator):  # else it would end whenever it is collected
                await units.aclose()

    @property
    def short_id(self) -> str:
        """Enough to find it in a log and too little to use it."""
        return self.id[:8]

    @property
    def busy(self) -> bool:
        """Whether there is still something to say."""
        return self.speaking or self.session.buffered_ms > 0 or bool(self._speeches)

    @property
    def deadline_ms(self) -> int:
        """When it ends unless something happens."""
        settings = self._settings
        ends = [self.opened_ms + settings.max_duration_s * 1000]
        if self.state in ("waiting", "connecting"):
            ends.append(self._changed_ms + settings.connect_timeout_s * 1000)
        elif self.state == "lost":
            ends.append(self._changed_ms + settings.grace_s * 1000)
        elif not self.busy:
            ends.append(self._touched_ms + settings.idle_timeout_s * 1000)
        return min(ends)

    @property
    def overdue(self) -> str:
        """Why it ends now, in a word; empty when it does not."""
        now = self._clock.now_ms()
        if now < self.deadline_ms:
            return ""
        if now >= self.opened_ms + self._settings.max_duration_s * 1000:
            return "duration"
        return {"connected": "idle", "lost": "vanished"}.get(self.state, "unconnected")

    def touch(self) -> None:
        """Somebody does something with it."""
        self._touched_ms = self._clock.now_ms()

    def enter(self, state: State) -> None:
        """The line changed; its deadlines count from now."""
        self.state, self._changed_ms = state, self._clock.now_ms()
        self.touch()

    def interrupt(self) -> int:
        """Fall silent. Returns the milliseconds of the utterance that were played."""
        self.touch()
        for speech in self._speeches:
            speech.cancel()
        if self.speaking:
            self._interrupted_ms = self._clock.now_ms()
        return self.session.interrupt()

    def say(self, speech: Callable[[Session], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Run `speech`, which pushes a whole utterance, when those before it are said.

        ApiError 429 when too many wait. The task is cancelled by an interrupt or the end.
        """
        self.touch()
        if len(self._speeches) >= MAX_SPEECHES:
            raise ApiError(
                429,
                f"{MAX_SPEECHES} files wait to be spoken already; send the next one later.",
                headers={"Retry-After": "5"},
            )

        async def in_turn() -> None:
            async with self._turn:
                await speech(self.session)

        task = asyncio.create_task(in_turn(), name=f"speech of {self.short_id}")
        self._speeches.add(task)
        task.add_done_callback(self._speeches.discard)
        return task

    def fps(self) -> float:
        """Units per second since it was last asked, at least a second ago."""
        then, before = self._read_at
        now, units = self._clock.now_ms(), self.session.counts.units
        if now - then >= FIGURE_MS:
            self._fps, self._read_at = 1000 * (units - before) / (now - then), (now, units)
        return self._fps

    async def close(self) -> None:
        """End everything that belongs to it. May be called twice; the second returns at once."""
        if self.closed:
            return
        self.closed = True
        speeches = list(self._speeches)
        for speech in speeches:
            speech.cancel()
        if self.hang_up is not None:
            self.hang_up()
        self.session.close()  # wakes whoever waits for room
        await asyncio.gather(*speeches, return_exceptions=True)
        async with self.lock:
            line, self.line = self.line, None
            if line is not None:
                await line.close()
        self._forget()

    def _heard(self, event: SessionEvent) -> None:
        """What the session tells of its utterances."""
        self.touch()
        self.speaking = event.kind == "started"
