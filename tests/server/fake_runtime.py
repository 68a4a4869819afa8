"""A stage without a backend and without WebRTC: it does what a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from lipstream.errors import BufferFullError
from lipstream.live.session import Session, SessionCounts, Unit
from lipstream.server.admission import Cost
from lipstream.server.rtc.ice_servers import IceServer
from lipstream.server.rtc.interfaces import RestartError, SignallingError

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.config import Progress
    from lipstream.media.audio import AudioChunk
    from lipstream.server.rtc.interfaces import Source, SpeechSink, Transport, TransportObserver

MAX_MS = 60_000
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
ANSWER = "v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=answer\r\nt=0 0\r\n"
CANDIDATES = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n"


@dataclass(frozen=True, slots=True)
class FakeEvent:
    kind: Literal["started", "ended", "interrupted", "failed"]
    utterance: int = 1
    played_ms: int = 0


class FakeSession:
    """Takes speech and holds it; a test plays it by hand."""

    look_ahead_ms = 60
    keeps = True  # what was pushed, for a test to look at

    def __init__(self, avatar: Avatar) -> None:
        self.avatar = avatar
        self.counts = SessionCounts()
        self.closed = False
        self.buffered_ms = 0
        self.samples: list[int] = []
        self.pushed = 0  # samples
        self.rates: list[int] = []
        self.ends = 0
        self.peak_ms = 0
        self._listeners: list[Callable[[Any], None]] = []
        self._changed = asyncio.Event()

    def push(self, chunk: AudioChunk) -> None:
        assert not self.closed
        ms = len(chunk) * 1000 // chunk.sample_rate
        if self.buffered_ms + ms > MAX_MS:
            raise BufferFullError("60 s wait already; wait until some was played.")
        self.buffered_ms += ms
        self.peak_ms = max(self.peak_ms, self.buffered_ms)
        self.pushed += len(chunk)
        if self.keeps:
            self.samples += [round(value * 32768) for value in chunk.mono().tolist()]
        self.rates.append(chunk.sample_rate)

    async def room(self, ms: int) -> None:
        while not self.closed and self.buffered_ms + ms > MAX_MS:
            self._changed.clear()
            await self._changed.wait()

    def end(self) -> None:
        self.ends += 1

    def interrupt(self) -> int:
        self.counts.interrupts += 1
        self.play(self.buffered_ms)
        return 120

    def play(self, ms: int) -> None:
        """`ms` of what waits were heard."""
        self.buffered_ms = max(0, self.buffered_ms - ms)
        self._changed.set()

    def emit(self, event: FakeEvent) -> None:
        for listener in list(self._listeners):
            listener(event)

    def add_listener(self, listener: Callable[[Any], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def units(self) -> AsyncIterator[Unit]:
        frame = self.avatar.frames[0].pixels
        yield Unit(0, frame, np.zeros(1920, np.int16), speaking=False, fresh=True)

    def close(self) -> None:
        self.closed = True
        self._changed.set()


class FakeConnection:
    """Answers any offer that begins like SDP."""

    def __init__(self, observer: TransportObserver, on_closed: Callable[[str], None]) -> None:
        self.observer, self.on_closed = observer, on_closed
        self.fragments: list[str] = []
        self.closed = False

    async def accept(self, offer: str) -> str:
        if not offer.startswith("v=0"):
            raise SignallingError("the offer is no SDP: it must begin with v=0.")
        return ANSWER

    async def add_candidates(self, fragment: str) -> None:
        if "restart" in fragment:
            raise RestartError("an ICE restart is not supported.")
        if not fragment.startswith("a="):
            raise SignallingError("the fragment is no trickle-ice-sdpfrag.")
        self.fragments.append(fragment)

    async def close(self) -> None:
        self.closed = True

    def show(self) -> None:
        """The first picture left."""
        self.observer.first_frame(80.0)

    def vanish(self) -> None:
        """The viewer is gone."""
        self.closed = True
        self.on_closed("the peer sent no report for 6 s")


@dataclass
class FakeRuntime:
    """Remembers all sessions and lines it opened."""

    backend: str = "fake"
    reason: str = "a test"
    parallelism: int = 1
    cost: Cost = Cost(10.0, 2.0)
    sending_ms: float = 0.1
    fault: str | None = None
    restarts: int = 0
    sessions: list[FakeSession] = field(default_factory=list)
    lines: list[FakeConnection] = field(default_factory=list)
    started: bool = False
    closed: bool = False

    def start(self) -> None:
        self.started = True

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        if progress is not None:
            progress(1, 1)
        return avatar

    def measure(self, avatar: Avatar) -> Cost:
        return self.cost

    def measure_sending(self) -> float:
        return self.sending_ms

    def open_session(self, avatar: Avatar) -> Session:
        session = FakeSession(avatar)
        self.sessions.append(session)
        return cast("Session", session)

    def open_connection(
        self,
        source: Source,
        speech: SpeechSink,
        observer: TransportObserver,
        on_closed: Callable[[str], None],
    ) -> Transport:
        line = FakeConnection(observer, on_closed)
        self.lines.append(line)
        return line

    def ice_servers(self, session_id: str) -> Sequence[IceServer]:
        return [
            IceServer(("stun:stun.example.org",)),
            IceServer(("turn:turn.example.org",), f"1:{session_id}", "secret"),
        ]

    async def close(self) -> None:
        self.closed = True
