"""How many sessions a device could hold if nothing but scheduling mattered.

The real scheduler gives work to a device that exists in virtual time only, so the answer is the
same on every machine. Two kinds of load: single frames that are worthless 40 ms after they can be
drawn, and whole live sessions whose speech comes in chunks of 100 ms as it is spoken.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lipstream.avatar.avatar import Avatar, AvatarFrame, QualityReport
from lipstream.bench.answers import Answer, Answers, percentile
from lipstream.bench.device import Pace, PipelinedDevice, VirtualDevice, VirtualTime
from lipstream.bench.sound import ObservedScheduler
from lipstream.engine import Engine
from lipstream.live.scheduler import RenderJob
from lipstream.live.session import Session
from lipstream.media.audio import AudioChunk
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.registry import Backend
from lipstream.speech.musetalk.audio_windows import AudioWindowEncoder, recent
from lipstream.timeline import FPS, SAMPLE_RATE, UNIT_MS

if TYPE_CHECKING:
    from lipstream.media.image import Floats

MAX_LATE, MAX_LATE_OF_ONE = 0.01, 0.02
MIN_SHARE = 0.90  # of the ceiling
EASED = 0.75  # of the ceiling: a load that one would plan for
WARM_UP_MS = 4_000
OPENING_MS = 600  # from a session's opening to its first words
CHUNK_MS = 100
# Part of a batch's time does not depend on its size: weights are read, kernels are launched, and
# the processor puts requests together and hands pictures over.
DEVICES = (
    Pace("a small GPU", 3.0, 8.72, 8, host_ms=2.0),
    Pace("20 sessions", 2.0, 1.9375, 32, host_ms=2.0),
    Pace("32 sessions", 1.5, 1.203, 32, host_ms=2.0),
)


@dataclass(frozen=True, slots=True)
class Sustained:
    """The most sessions that a device holds."""

    device: str
    load: str  # "frames" or "sessions"
    pipelined: bool
    ceiling: float  # sessions, if all batches were full
    sessions: int
    late: float  # share of frames that were not drawn in time
    worst: float  # the same of the session that fared worst
    batch: float  # frames, mean
    delay_p50: float | None  # ms of speech that was pushed and not yet given out; of sessions
    delay_p99: float | None
    begun_p99: float | None  # ms from a chunk to the last frame that it made possible; see `Answer`
    made_p50: float | None
    made_p99: float | None
    made_p99_eased: float | None  # the same with `EASED` of the ceiling

    @property
    def share(self) -> float:
        """Of the ceiling."""
        return self.sessions / self.ceiling

    @property
    def enough(self) -> bool:
        """Whether the bound is met, which is for sessions as they are served on a GPU.

        Frames that cannot wait are too much for a small device whoever gives it its work: a frame
        of every session alone takes it 40 ms.
        """
        return self.load != "sessions" or not self.pipelined or self.share >= MIN_SHARE

    def record(self) -> dict[str, object]:
        return asdict(self) | {"share": self.share, "enough": self.enough}


@dataclass(frozen=True, slots=True)
class Load:
    """What happened with a number of sessions."""

    late: float
    worst: float
    batch: float
    delays: tuple[int, ...] = ()  # ms, one for each chunk of each session
    answers: tuple[Answer, ...] = ()  # likewise

    @property
    def held(self) -> bool:
        return self.late < MAX_LATE and self.worst <= MAX_LATE_OF_ONE

    @property
    def making(self) -> list[int]:
        """From each chunk to the last frame that it made possible, ms."""
        return [answer.made for answer in self.answers]


_BLANK = QualityReport(1, 1, 1, 0, 0, 1, 1, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
AVATAR = Avatar((AvatarFrame(np.zeros((1, 1, 3), np.uint8), None),), False, "nobody", _BLANK)


def run_schedule(seconds: float, devices: tuple[Pace, ...] = DEVICES) -> list[Sustained]:
    """A row for each device and load; `seconds` of virtual time for each number of sessions."""
    rows = []
    for load, hold, pipelined in LOADS:
        for device in devices:
            held = partial(hold, device, seconds=seconds, pipelined=pipelined)
            eased = held(max(math.floor(EASED * device.sessions), 1))
            found = most(held, device.sessions)
            rows.append(_row(device, load, pipelined, *found, eased))
    return rows


def _row(
    device: Pace, load: str, pipelined: bool, sessions: int, seen: Load, eased: Load
) -> Sustained:
    return Sustained(
        device.name,
        load,
        pipelined,
        device.sessions,
        sessions,
        seen.late,
        seen.worst,
        seen.batch,
        percentile(seen.delays, 50),
        percentile(seen.delays, 99),
        percentile([one.begun for one in seen.answers], 99),
        percentile(seen.making, 50),
        percentile(seen.making, 99),
        percentile(eased.making, 99),
    )


def most(hold: Callable[[int], Load], ceiling: float) -> tuple[int, Load]:
    """The largest number that is held, up to the ceiling, and what happened there; by halves."""
    held, load = 0, Load(0.0, 0.0, 0.0)
    low, high = 1, max(math.ceil(ceiling), 1)
    while low <= high:
        middle = (low + high + 1) // 2
        tried = hold(middle)
        if tried.held:
            held, load, low = middle, tried, middle + 1
        else:
            high = middle - 1
    return held, load


def hold_frames(device: Pace, sessions: int, seconds: float, pipelined: bool) -> Load:
    """Each session wants a frame every 40 ms and has use for it for 40 ms from then on."""
    # How batches are put together and nothing else: the processor's part takes no time.
    world = _Frames(replace(device, host_ms=0.0), sessions, pipelined)
    world.run(round(1000 * seconds) + WARM_UP_MS)
    return world.load(world.late, world.frames)


def hold_sessions(device: Pace, sessions: int, seconds: float, pipelined: bool) -> Load:
    """Each session hears speech in chunks of 100 ms, as it is spoken, without an end."""
    world = _Sessions(device, sessions, pipelined)
    world.run(round(1000 * seconds) + WARM_UP_MS)
    after = world.counts()
    frames = [b[0] - a[0] for a, b in zip(world.before, after, strict=True)]
    late = [b[1] - a[1] for a, b in zip(world.before, after, strict=True)]
    answers = [answer for one in world.answers for answer in one.found]
    return world.load(late, frames, world.delays, answers)


LOADS = (
    ("frames", hold_frames, False),
    ("sessions", hold_sessions, False),
    ("sessions", hold_sessions, True),
)


class _World:
    """A scheduler, a device and a clock."""

    def __init__(self, device: Pace, sessions: int, pipelined: bool) -> None:
        self.clock = VirtualTime()
        made = PipelinedDevice if pipelined else VirtualDevice
        self.device = made(device, self.clock, seed=sessions)
        encoder = AudioWindowEncoder(_Deaf(), recent())
        backend = Backend("virtual", encoder, self.device, FPS, device.batch, "a benchmark")
        self.scheduler = ObservedScheduler(Engine(backend), clock=self.clock)
        self.drawn = random.Random(sessions)

    def run(self, until_ms: int) -> None:
        """Let the scheduler work whenever there is something to do."""
        while self.clock.exact < until_ms:
            if not self.scheduler.step():
                self.clock.move_to(math.floor(self.clock.exact) + 1)

    def load(
        self,
        late: Sequence[int],
        frames: Sequence[int],
        delays: Sequence[int] = (),
        answers: Sequence[Answer] = (),
    ) -> Load:
        sizes = self.device.batches
        return Load(
            sum(late) / max(sum(frames), 1),
            max(lost / max(all_, 1) for lost, all_ in zip(late, frames, strict=True)),
            sum(sizes) / max(len(sizes), 1),
            tuple(delays),
            tuple(answers),
        )


class _Frames(_World):
    """Frames without sessions."""

    def __init__(self, device: Pace, sessions: int, pipelined: bool) -> None:
        super().__init__(device, sessions, pipelined)
        self.lanes = [self.scheduler.open() for _ in range(sessions)]
        self.phases = [self.drawn.randrange(UNIT_MS) for _ in range(sessions)]
        self.wanted: list[RenderJob | None] = [None] * sessions
        self.late, self.frames = [0] * sessions, [0] * sessions
        self.clock.ticked = self._tick

    def _tick(self, now_ms: int) -> None:
        """A frame's time is over when the next one of its session can be drawn."""
        for n, phase in enumerate(self.phases):
            index, waited = divmod(now_ms - phase, UNIT_MS)
            if waited or index < 0:
                continue
            fresh = _drawing(index, now_ms + UNIT_MS)
            before, self.wanted[n] = self.wanted[n], fresh
            if before is not None:
                before.cancelled = True
                if now_ms >= WARM_UP_MS:
                    self.frames[n] += 1
                    self.late[n] += before.picture is None
            self.lanes[n].draw([fresh])


def _drawing(index: int, due: int) -> RenderJob:
    return RenderJob(FrameRequest(AVATAR, index, None), due)


class _Sessions(_World):
    """Whole sessions: one after the other they are opened and begin to speak, as people do."""

    def __init__(self, device: Pace, sessions: int, pipelined: bool) -> None:
        super().__init__(device, sessions, pipelined)
        self.sessions = [Session(AVATAR, self.scheduler) for _ in range(sessions)]
        self.spells = list(self.scheduler.drawn.values())
        plan = self.scheduler.engine.backend.encoder.plan
        self.answers = [Answers(plan, CHUNK_MS) for _ in range(sessions)]
        self.opens = sorted(self.drawn.randrange(WARM_UP_MS // 2) for _ in range(sessions))
        self.speaks = [opens + OPENING_MS + self.drawn.randrange(CHUNK_MS) for opens in self.opens]
        self.delays: list[int] = []
        self.before: list[tuple[int, int]] = []
        self._chunk = AudioChunk(
            np.zeros((SAMPLE_RATE * CHUNK_MS // 1000, 1), np.float32), SAMPLE_RATE
        )
        self.clock.ticked = self._tick

    def counts(self) -> list[tuple[int, int]]:
        """Units of each session so far, and those without a picture of their own."""
        counts = [session.counts for session in self.sessions]
        return [(one.units + one.skipped, one.repeated + one.skipped) for one in counts]

    def _tick(self, now_ms: int) -> None:
        if now_ms == WARM_UP_MS:
            self.before = self.counts()
            for answers in self.answers:
                answers.found.clear()
        for n, session in enumerate(self.sessions):
            spoken = now_ms - self.speaks[n]
            if spoken >= 0 and spoken % CHUNK_MS == 0:
                session.push(self._chunk)
                self.answers[n].push(now_ms)
                if now_ms >= WARM_UP_MS:
                    self.delays.append(session.buffered_ms)
            while now_ms >= self.opens[n] and (unit := session.take(now_ms)) is not None:
                spell = self.spells[n].pop(unit.index, None)
                if unit.speaking:
                    self.answers[n].show(spell if unit.fresh else None)


class _Deaf:
    """A speech network that takes no time."""

    layers, width = 1, 1

    def features(self, samples: Sequence[Floats]) -> list[Floats]:
        return [np.zeros((len(piece) // 320, 1, 1), np.float32) for piece in samples]
