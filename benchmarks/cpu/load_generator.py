"""Open-loop load on live sessions: speech comes at its own pace, however late the session is."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lipstream.live.session.session import Session
from lipstream.live.session.types import SessionEvent, Unit
from lipstream.server.rtc.interfaces import TransportObserver
from lipstream.timeline import UNIT_MS

if TYPE_CHECKING:
    from lipstream.media.image import Floats


@dataclass(slots=True)
class PushTimes:
    """The times at which one utterance's sound was pushed."""

    pushed: list[tuple[int, float]] = field(default_factory=list)  # ms so far, when
    units: int = 0  # units given out
    seen: bool = False  # a unit of it was encoded

    def pushed_at(self, ms: int) -> float:
        """The time at which its first `ms` had been pushed."""
        for so_far, when in self.pushed:
            if so_far >= ms:
                return when
        return self.pushed[-1][1]


class MeasuredSession(TransportObserver):
    """A session as a source of units; notes when each one's picture was encoded."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.opened = time.perf_counter()
        self.first_unit: float | None = None  # ms after `opened`
        self.first_frame_ms: list[float] = []  # ms from the first sound in to the first unit out
        self.out_ms: list[float] = []  # ms from a unit's last sound in to the unit out
        self.never_sent = 0  # pictures that came while the one before was being encoded
        self.counting = False
        self._spoken: list[PushTimes] = []
        self._playing: PushTimes | None = None
        self._waiting: deque[float | None] = deque()  # when the sound came in; None for silence
        session.add_listener(self._on_event)

    def new_utterance(self) -> PushTimes:
        """The next one that is pushed."""
        self._spoken.append(PushTimes())
        return self._spoken[-1]

    async def units(self) -> AsyncIterator[Unit]:
        """Yield the session's units."""
        units = self.session.units()
        try:
            async for unit in units:
                self._waiting.append(self._last_push(unit))
                yield unit
        finally:
            await units.aclose()

    def encoded(self, kind: str, ms: float, key: bool) -> None:
        if kind != "video":
            return
        now, came = time.perf_counter(), self._waiting.popleft()
        if self.first_unit is None:
            self.first_unit = 1000 * (now - self.opened)
        if came is not None and self.counting:
            self.out_ms.append(1000 * (now - came))
            playing = self._playing
            if playing is not None and not playing.seen:
                self.first_frame_ms.append(1000 * (now - playing.pushed[0][1]))
        if came is not None and self._playing is not None:
            self._playing.seen = True

    def video_dropped(self) -> None:
        self.never_sent += 1
        self._waiting.pop()

    def _on_event(self, event: SessionEvent) -> None:
        if event.kind == "started":
            self._playing = self._spoken[event.utterance - 1]

    def _last_push(self, unit: Unit) -> float | None:
        """The time at which the last sound of `unit` was pushed."""
        if not unit.speaking or self._playing is None:
            return None
        self._playing.units += 1
        return self._playing.pushed_at(UNIT_MS * self._playing.units)


async def push_speech(
    measured: MeasuredSession,
    speech: Floats,
    rate: int,
    *,
    chunk_ms: int,
    pause_s: float,
    delay_s: float,
) -> None:
    """Say `speech` over and over in chunks as they would be spoken, with pauses; until cancelled.

    Open loop: the next chunk comes when its time has come, however far behind the session is.
    """
    size = rate * chunk_ms // 1000
    due = time.perf_counter() + delay_s
    while True:
        utterance = measured.new_utterance()
        speaking = measured.session.open_utterance(rate)
        for start in range(0, len(speech), size):
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            piece = speech[start : start + size]
            utterance.pushed.append(((start + len(piece)) * 1000 // rate, time.perf_counter()))
            speaking.push(piece)
            due += chunk_ms / 1000
        speaking.end()
        due += pause_s
