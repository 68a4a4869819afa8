"""Sessions on a clock moved by hand, and all that they give out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.config import MotionLevel
from lipstream.engine import Engine
from lipstream.live.clock import ManualClock
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.scheduler.utterance_encoder import pcm16
from lipstream.live.session.session import Session
from lipstream.live.session.types import SessionEvent, SessionLimits, Unit
from lipstream.live.session.utterance import Utterance
from lipstream.media.audio import AudioChunk
from lipstream.media.resampler import Resampler
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.registry import Backend
from lipstream.timeline import SOUND_RATE
from tests.fakes import (
    StripeRenderer,
    blank_avatar,
    read_blend_weight,
    read_stripes,
    stripe_backend,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.media.image import Image

TICK_MS = 10


class RecordedSession:
    """A session with all its units and events."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.units: list[Unit] = []
        self.events: list[SessionEvent] = []
        self.by_utterance: dict[int, list[NDArray[np.int16]]] = {}  # sound, in the order of play
        session.add_listener(self.events.append)

    def record(self, unit: Unit) -> None:
        """Note a unit; its sound is of the utterance that was started last."""
        self.units.append(unit)
        if unit.speaking:
            last = [event.utterance for event in self.events if event.kind == "started"][-1]
            self.by_utterance.setdefault(last, []).append(unit.samples)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    @property
    def spoken(self) -> list[Unit]:
        """The units that carry speech."""
        return [unit for unit in self.units if unit.speaking]

    @property
    def blend_weights(self) -> list[float]:
        return [read_blend_weight(unit.frame) for unit in self.units]

    @property
    def drawn(self) -> list[int]:
        """The index that stands in each picture."""
        return [read_stripes(unit.frame)[0] for unit in self.units]

    def sound(self) -> NDArray[np.int16]:
        """All speech that was given out, with the padding of its last unit."""
        return np.concatenate([np.zeros(0, np.int16), *(unit.samples for unit in self.spoken)])

    def plays(self, utterance: int, chunk: AudioChunk) -> bool:
        """True when all of `chunk`, and then silence, is the sound of the utterance."""
        sound, expected = np.concatenate(self.by_utterance[utterance]), resampled(chunk)
        return np.array_equal(sound[: len(expected)], expected) and not sound[len(expected) :].any()

    def speak(self, chunk: AudioChunk, *, end: bool = True) -> Utterance:
        """Open an utterance and push it, or its beginning."""
        utterance = self.session.open_utterance(chunk.sample_rate)
        utterance.push(chunk)
        if end:
            utterance.end()
        return utterance

    def in_order(self) -> bool:
        """The timeline has no gap, and no picture is out of its place unless it is repeated."""
        indexes = [unit.index for unit in self.units]
        drawn = [read_stripes(unit.frame)[0] for unit in self.units if unit.fresh]
        fresh = [unit.index for unit in self.units if unit.fresh]
        return indexes == list(range(indexes[0], indexes[0] + len(indexes))) and drawn == fresh


class LiveHarness:
    """A scheduler without a thread, sessions, and a clock that `run` moves.

    `stalled` keeps the scheduler from working.
    """

    def __init__(self, backend: Backend | None = None) -> None:
        self.clock = ManualClock(1_000)
        self.scheduler = Scheduler(Engine(backend or stripe_backend()), clock=self.clock)
        self.recordings: list[RecordedSession] = []
        self.stalled = False

    def open(
        self,
        avatar: Avatar | None = None,
        limits: SessionLimits | None = None,
        motion: MotionLevel | None = None,
    ) -> RecordedSession:
        shown = avatar or blank_avatar()
        session = Session(shown, self.scheduler, limits=limits, motion=motion)
        self.recordings.append(RecordedSession(session))
        return self.recordings[-1]

    def run(self, ms: int) -> None:
        """Let `ms` pass; every 10 ms the scheduler works and the sessions give their units."""
        for _ in range(ms // TICK_MS):
            self.settle()
            for recorded in self.recordings:
                while (unit := recorded.session.take(self.clock.now_ms())) is not None:
                    recorded.record(unit)
            self.settle()
            self.clock.advance(TICK_MS)

    async def play(self, ms: int) -> None:
        """Let `ms` pass as `run` does, for sessions whose tasks need the event loop."""
        for _ in range(ms // TICK_MS):
            for _ in range(10):
                await asyncio.sleep(0)
            self.run(TICK_MS)

    def due(self, recorded: RecordedSession) -> int:
        """The index of the unit that was due at the last tick."""
        assert recorded.session._origin is not None
        return (self.clock.now_ms() - TICK_MS - recorded.session._origin) // 40

    def settle(self) -> None:
        """Let the scheduler do all that waits."""
        while not self.stalled and self.scheduler.step():
            pass


class FailingRenderer(StripeRenderer):
    """Refuses to draw what `refuses` says, as a broken avatar or a full graphics card would."""

    def __init__(self, refuses: Callable[[FrameRequest], bool]) -> None:
        super().__init__()
        self.refuses = refuses

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        if any(self.refuses(request) for request in requests):
            raise RuntimeError("this cannot be drawn")
        return super().render(requests)


def noise(samples: int, rate: int, seed: int = 0) -> AudioChunk:
    """16-bit noise in which no two places are alike."""
    pcm = np.random.default_rng(seed).integers(-20_000, 20_000, samples).astype(np.int16)
    return AudioChunk(pcm, rate)


def pieces(chunk: AudioChunk, lengths: Sequence[int]) -> list[AudioChunk]:
    """`chunk` cut into pieces of these lengths and the rest."""
    edges = [0, *np.minimum(np.cumsum(lengths, dtype=int), len(chunk)).tolist(), len(chunk)]
    return [
        AudioChunk(chunk.samples[start:stop], chunk.sample_rate)
        for start, stop in zip(edges, edges[1:], strict=False)
    ]


def resampled(chunk: AudioChunk) -> NDArray[np.int16]:
    """The whole utterance resampled once to 48 kHz."""
    resampler = Resampler(chunk.sample_rate, SOUND_RATE)
    return pcm16(np.concatenate([resampler.push(chunk.mono()), resampler.flush()]))
