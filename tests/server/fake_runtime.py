"""A media runtime without a backend and without WebRTC, driven by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lipstream.errors import BufferFullError
from lipstream.live.session.session import Session
from lipstream.live.session.types import (
    EventKind,
    SessionCounts,
    SessionEvent,
    Unit,
    UtteranceState,
)
from lipstream.media.audio import AudioChunk
from lipstream.server.admission import Cost
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.rtc.connection import WebRTCTransport
from lipstream.server.rtc.ice_servers import IceServer
from lipstream.server.rtc.interfaces import RestartError, SignallingError
from tests.server.fake_outputs import FakePush, FakeRoom

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.avatar.avatar import Avatar
    from lipstream.config import MotionLevel, Progress
    from lipstream.integrations.livekit.generator import Speaker
    from lipstream.integrations.livekit.room_address import RoomAddress
    from lipstream.integrations.livekit.room_avatar import RoomAvatar
    from lipstream.integrations.livekit.room_error import RoomError
    from lipstream.push.live_push import OnLost
    from lipstream.server.outputs.push_address import PushRequest
    from lipstream.server.rtc.interfaces import Source, SpeechSink, TransportObserver, VoiceSink

MAX_MS = 60_000
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
ANSWER = "v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=answer\r\nt=0 0\r\n"
CANDIDATES = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n"


def session_event(kind: EventKind, utterance: int = 1, played_ms: int = 0) -> SessionEvent:
    """An event with the defaults that most tests need."""
    return SessionEvent(kind, utterance, played_ms)


class FakeUtterance:
    """Keeps what is pushed, and can be ended and cancelled."""

    def __init__(self, session: FakeSession, id: int, sample_rate: int) -> None:
        self.id, self.sample_rate = id, sample_rate
        self.state: UtteranceState = "queued"
        self.ended = False
        self.samples: list[int] = []
        self._session = session

    @property
    def finished(self) -> bool:
        return self.state not in ("queued", "speaking")

    def push(self, sound: NDArray[Any]) -> None:
        if self.finished:
            return
        assert not self.ended
        chunk = AudioChunk(sound, self.sample_rate)
        self._session.take_in(len(chunk) * 1000 // self.sample_rate)
        if self._session.keeps:
            self.samples += np.rint(chunk.mono() * 32768).astype(int).tolist()
        self._session.pushed += len(chunk)

    async def room(self, ms: int) -> None:
        while not self.finished and self._session.buffered_ms + ms > MAX_MS:
            await self._session.change()

    def end(self) -> None:
        self.ended = self.ended or not self.finished

    def cancel(self) -> None:
        if not self.finished:
            self.state = "cancelled"
            self._session.emit(session_event("interrupted", self.id))


class FakeSession:
    """Takes speech and holds it; a test plays it by hand."""

    look_ahead_ms = 60
    synthesizing = False
    keeps = True  # what was pushed, for a test to look at

    def __init__(self, avatar: Avatar, motion: MotionLevel | None = None) -> None:
        self.avatar, self.motion = avatar, motion
        self.counts = SessionCounts()
        self.closed = False
        self.speaking = False
        self.buffered_ms = 0
        self.utterances: list[FakeUtterance] = []
        self.pushed = 0  # samples
        self.peak_ms = 0
        self._listeners: list[Callable[[SessionEvent], None]] = []
        self._changed = asyncio.Event()

    @property
    def samples(self) -> list[int]:
        """All that was pushed, in the order of the utterances."""
        return [sample for utterance in self.utterances for sample in utterance.samples]

    @property
    def rates(self) -> list[int]:
        return [utterance.sample_rate for utterance in self.utterances]

    @property
    def ends(self) -> int:
        """How many utterances were ended."""
        return sum(utterance.ended for utterance in self.utterances)

    def open_utterance(self, sample_rate: int) -> FakeUtterance:
        assert not self.closed
        self.utterances.append(FakeUtterance(self, len(self.utterances) + 1, sample_rate))
        return self.utterances[-1]

    async def room_to_open(self) -> None:
        pass

    def take_in(self, ms: int) -> None:
        if self.buffered_ms + ms > MAX_MS:
            raise BufferFullError("60 s wait already; wait until some was played.")
        self.buffered_ms += ms
        self.peak_ms = max(self.peak_ms, self.buffered_ms)

    async def change(self) -> None:
        """Return when something was played or cancelled."""
        self._changed.clear()
        await self._changed.wait()

    def interrupt(self) -> int:
        self.counts.interrupts += 1
        for utterance in self.utterances:
            utterance.cancel()
        self.play(self.buffered_ms)
        return 120

    def play(self, ms: int) -> None:
        """Give out `ms` of what waits."""
        self.buffered_ms = max(0, self.buffered_ms - ms)
        self._changed.set()

    def emit(self, event: SessionEvent) -> None:
        self.speaking = event.kind == "started"
        for listener in list(self._listeners):
            listener(event)

    def add_listener(self, listener: Callable[[SessionEvent], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def units(self) -> AsyncIterator[Unit]:
        frame = self.avatar.frames[0].pixels
        yield Unit(0, frame, np.zeros(1920, np.int16), speaking=False, fresh=True)

    async def wait_closed(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
        for utterance in self.utterances:
            utterance.cancel()
        self._changed.set()


class FakeConnection(WebRTCTransport):
    """Answers any offer that begins like SDP."""

    def __init__(
        self, voice: VoiceSink, observer: TransportObserver, on_closed: Callable[[str], None]
    ) -> None:
        # nothing of a real connection is set up
        self.voice = voice  # for a test to speak into
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
class FakeRuntime(MediaRuntime):
    """Keeps all sessions, connections and pushes that it opened."""

    backend: str = "fake"
    reason: str = "a test"
    parallelism: int = 1
    cost: Cost = Cost(10.0, 2.0, 0.1)
    fault: str | None = None
    restarts: int = 0
    nonfinite_faces: int = 0
    sessions: list[FakeSession] = field(default_factory=list)
    connections: list[FakeConnection] = field(default_factory=list)
    pushes: list[FakePush] = field(default_factory=list)
    pushed_to: list[PushRequest] = field(default_factory=list)
    rooms: list[FakeRoom] = field(default_factory=list)
    room_error: RoomError | None = None  # that of the next room
    rooms_answer: asyncio.Event | None = None  # that rooms wait for, unless they are given up
    started: bool = False
    closed: bool = False

    @property
    def dropped_packets(self) -> Mapping[str, int]:
        return {"stranger": 3}

    def start(self) -> None:
        self.started = True

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        if progress is not None:
            progress(1, 1)
        return avatar

    def measure(self, avatar: Avatar, like: Cost | None = None) -> Cost:
        return self.cost

    def open_session(self, avatar: Avatar, motion: MotionLevel | None = None) -> Session:
        session = FakeSession(avatar, motion)
        self.sessions.append(session)
        return cast("Session", session)

    def open_connection(
        self,
        source: Source,
        speech: SpeechSink,
        voice: VoiceSink,
        observer: TransportObserver,
        on_closed: Callable[[str], None],
    ) -> FakeConnection:
        connection = FakeConnection(voice, observer, on_closed)
        self.connections.append(connection)
        return connection

    def open_push(
        self,
        target: PushRequest,
        size: tuple[int, int],
        on_lost: OnLost,
        on_connected: Callable[[], None],
    ) -> FakePush:
        self.pushed_to.append(target)
        self.pushes.append(FakePush(on_lost, on_connected))
        return self.pushes[-1]

    def open_room(
        self,
        speaker: Speaker,
        size: tuple[int, int],
        address: RoomAddress,
        on_agent: Callable[[bool], None],
        on_lost: Callable[[str], None],
    ) -> RoomAvatar:
        room = FakeRoom(speaker, address, on_agent, on_lost, self.room_error, self.rooms_answer)
        self.rooms.append(room)
        return cast("RoomAvatar", room)

    def ice_servers(self, session_id: str) -> Sequence[IceServer]:
        return [
            IceServer(("stun:stun.example.org",)),
            IceServer(("turn:turn.example.org",), f"1:{session_id}", "secret"),
        ]

    async def close(self) -> None:
        self.closed = True
