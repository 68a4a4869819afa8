"""Open-loop load on live sessions: people who talk at their own pace, whatever happens to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lipstream.audio import AudioChunk
from lipstream.session import Session, SessionEvent, Unit

if TYPE_CHECKING:
    from lipstream.video import Floats

UNIT_MS = 40


@dataclass(slots=True)
class Utterance:
    """When one utterance's sound went in."""

    pushed: list[tuple[int, float]] = field(default_factory=list)  # ms so far, when
    said: int = 0  # units given out

    def came(self, ms: int) -> float:
        """When its first `ms` had been pushed."""
        for so_far, when in self.pushed:
            if so_far >= ms:
                return when
        return self.pushed[-1][1]


class Watched:
    """A session as a source of units that notes when each one has left: encoded and sent."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.opened = time.perf_counter()
        self.first_unit: float | None = None  # ms after `opened`
        self.first_words: list[float] = []  # ms from the first sound in to the first unit out
        self.through: list[float] = []  # ms from a unit's last sound in to the unit out
        self.counting = False
        self._spoken: list[Utterance] = []
        self._playing: Utterance | None = None
        session.add_listener(self._heard)

    def new_utterance(self) -> Utterance:
        """The next one that is pushed."""
        self._spoken.append(Utterance())
        return self._spoken[-1]

    async def units(self) -> AsyncIterator[Unit]:
        """The session's; what comes after a `yield` happens when the unit was released."""
        async for unit in self.session.units():
            yield unit
            self._released(unit, time.perf_counter())

    def _heard(self, event: SessionEvent) -> None:
        if event.kind == "started":
            self._playing = self._spoken[event.utterance - 1]

    def _released(self, unit: Unit, now: float) -> None:
        if self.first_unit is None:
            self.first_unit = 1000 * (now - self.opened)
        playing = self._playing
        if not unit.speaking or playing is None:
            return
        playing.said += 1
        if self.counting:
            if playing.said == 1:
                self.first_words.append(1000 * (now - playing.pushed[0][1]))
            self.through.append(1000 * (now - playing.came(UNIT_MS * playing.said)))


async def talk(
    watched: Watched,
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
        utterance = watched.new_utterance()
        for start in range(0, len(speech), size):
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            piece = speech[start : start + size]
            utterance.pushed.append(((start + len(piece)) * 1000 // rate, time.perf_counter()))
            watched.session.push(AudioChunk.from_pcm(piece, rate))
            due += chunk_ms / 1000
        watched.session.end()
        due += pause_s
