"""The number of sessions that a device could hold if nothing but scheduling mattered.

The real scheduler gives work to a device that exists in virtual time only, so the result is the
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

from benchmarks.gpu.response_latency import (
    Latency,
    LatencyTracker,
    ObservedScheduler,
    percentile,
)
from benchmarks.gpu.virtual_device import (
    CostModel,
    PipelinedDevice,
    VirtualClock,
    VirtualDevice,
)
from lipstream.avatar.avatar import Avatar, AvatarFrame, QualityReport
from lipstream.bench.sessions import MAX_LATE, MAX_LATE_OF_ONE
from lipstream.engine import Engine
from lipstream.live.scheduler.jobs import RenderJob
from lipstream.live.session.session import Session
from lipstream.media.audio import AudioChunk
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.registry import Backend
from lipstream.speech.musetalk.audio_windows import AudioWindowEncoder
from lipstream.speech.musetalk.backbone import PIECE, Excerpt
from lipstream.timeline import FPS, SAMPLE_RATE, UNIT_MS

if TYPE_CHECKING:
    from lipstream.media.image import Floats

MIN_SHARE = 0.90  # of the ceiling
PLANNED = 0.75  # of the ceiling: a load that one would plan for
WARM_UP_MS = 4_000
OPENING_MS = 600  # from a session's opening to its first words
CHUNK_MS = 100
# Part of a batch's time does not depend on its size: weights are read, kernels are launched, and
# the processor puts requests together and hands pictures over.
DEVICES = (
    CostModel("a small GPU", 3.0, 8.72, 8, host_ms=2.0),
    CostModel("20 sessions", 2.0, 1.9375, 32, host_ms=2.0),
    CostModel("32 sessions", 1.5, 1.203, 32, host_ms=2.0),
)


@dataclass(frozen=True, slots=True)
class VirtualCapacity:
    """The largest number of sessions that a device holds."""

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
    begun_p99: float | None  # ms, of each chunk's `Latency`; likewise the next three
    made_p50: float | None
    made_p99: float | None
    made_p99_planned: float | None  # the same with `PLANNED` of the ceiling

    @property
    def share(self) -> float:
        """Of the ceiling."""
        return self.sessions / self.ceiling

    @property
    def enough(self) -> bool:
        """True where `MIN_SHARE` is met, which is asked of sessions as they are served on a GPU.

        Frames that cannot wait are too much for a small device under any scheduler: a frame of
        every session alone takes it 40 ms.
        """
        return self.load != "sessions" or not self.pipelined or self.share >= MIN_SHARE

    def record(self) -> dict[str, object]:
        return asdict(self) | {"share": self.share, "enough": self.enough}


@dataclass(frozen=True, slots=True)
class VirtualLoadResult:
    """The outcome of a number of sessions."""

    late: float
    worst: float
    batch: float
    delays: tuple[int, ...] = ()  # ms, one for each chunk of each session
    latencies: tuple[Latency, ...] = ()  # likewise

    @property
    def held(self) -> bool:
        return self.late < MAX_LATE and self.worst <= MAX_LATE_OF_ONE

    @property
    def made_ms(self) -> list[int]:
        """From each chunk to the last frame that it made possible, ms."""
        return [latency.made for latency in self.latencies]


_BLANK = QualityReport(1, 1, 1, 0, 0, 1, 1, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
AVATAR = Avatar((AvatarFrame(np.zeros((1, 1, 3), np.uint8), None),), False, "nobody", _BLANK)


def run_schedule(seconds: float, devices: tuple[CostModel, ...] = DEVICES) -> list[VirtualCapacity]:
    """A row for each device and load; `seconds` of virtual time for each number of sessions."""
    rows = []
    for load, hold, pipelined in LOADS:
        for device in devices:
            held = partial(hold, device, seconds=seconds, pipelined=pipelined)
            planned = held(max(math.floor(PLANNED * device.sessions), 1))
            found = find_max(held, device.sessions)
            rows.append(_row(device, load, pipelined, *found, planned))
    return rows


def _row(
    device: CostModel,
    load: str,
    pipelined: bool,
    sessions: int,
    seen: VirtualLoadResult,
    planned: VirtualLoadResult,
) -> VirtualCapacity:
    return VirtualCapacity(
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
        percentile([one.begun for one in seen.latencies], 99),
        percentile(seen.made_ms, 50),
        percentile(seen.made_ms, 99),
        percentile(planned.made_ms, 99),
    )


def find_max(
    hold: Callable[[int], VirtualLoadResult], ceiling: float
) -> tuple[int, VirtualLoadResult]:
    """The largest number that is held, up to the ceiling, and its result; by bisection."""
    held, load = 0, VirtualLoadResult(0.0, 0.0, 0.0)
    low, high = 1, max(math.ceil(ceiling), 1)
    while low <= high:
        middle = (low + high + 1) // 2
        tried = hold(middle)
        if tried.held:
            held, load, low = middle, tried, middle + 1
        else:
            high = middle - 1
    return held, load


def hold_frames(
    device: CostModel, sessions: int, seconds: float, pipelined: bool
) -> VirtualLoadResult:
    """Each session needs a frame every 40 ms, and drops it 40 ms later."""
    # How batches are put together and nothing else: the processor's part takes no time.
    run = _Frames(replace(device, host_ms=0.0), sessions, pipelined)
    run.run(round(1000 * seconds) + WARM_UP_MS)
    return run.load(run.late, run.frames)


def hold_sessions(
    device: CostModel, sessions: int, seconds: float, pipelined: bool
) -> VirtualLoadResult:
    """Each session is pushed endless speech in chunks of 100 ms, at the pace of speech."""
    run = _Sessions(device, sessions, pipelined)
    run.run(round(1000 * seconds) + WARM_UP_MS)
    after = run.counts()
    frames = [b[0] - a[0] for a, b in zip(run.before, after, strict=True)]
    late = [b[1] - a[1] for a, b in zip(run.before, after, strict=True)]
    latencies = [latency for tracker in run.trackers for latency in tracker.latencies]
    return run.load(late, frames, run.delays, latencies)


LOADS = (
    ("frames", hold_frames, False),
    ("sessions", hold_sessions, False),
    ("sessions", hold_sessions, True),
)


class _VirtualRun:
    """A scheduler, a device and a clock."""

    def __init__(self, device: CostModel, sessions: int, pipelined: bool) -> None:
        self.clock = VirtualClock()
        made = PipelinedDevice if pipelined else VirtualDevice
        self.device = made(device, self.clock, seed=sessions)
        encoder = AudioWindowEncoder.live(_ZeroSpeechNetwork())
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
        latencies: Sequence[Latency] = (),
    ) -> VirtualLoadResult:
        sizes = self.device.batches
        return VirtualLoadResult(
            sum(late) / max(sum(frames), 1),
            max(lost / max(all_, 1) for lost, all_ in zip(late, frames, strict=True)),
            sum(sizes) / max(len(sizes), 1),
            tuple(delays),
            tuple(latencies),
        )


class _Frames(_VirtualRun):
    """Frames without sessions."""

    def __init__(self, device: CostModel, sessions: int, pipelined: bool) -> None:
        super().__init__(device, sessions, pipelined)
        self.queues = [self.scheduler.open() for _ in range(sessions)]
        self.phases = [self.drawn.randrange(UNIT_MS) for _ in range(sessions)]
        self.pending: list[RenderJob | None] = [None] * sessions
        self.late, self.frames = [0] * sessions, [0] * sessions
        self.clock.on_tick = self._tick

    def _tick(self, now_ms: int) -> None:
        """Replace a session's frame by its next one every 40 ms."""
        for n, phase in enumerate(self.phases):
            index, waited = divmod(now_ms - phase, UNIT_MS)
            if waited or index < 0:
                continue
            fresh = _job(index, now_ms + UNIT_MS)
            before, self.pending[n] = self.pending[n], fresh
            if before is not None:
                before.cancelled = True
                if now_ms >= WARM_UP_MS:
                    self.frames[n] += 1
                    self.late[n] += before.picture is None
            self.queues[n].draw([fresh])


def _job(index: int, due: int) -> RenderJob:
    return RenderJob(FrameRequest(AVATAR, index, None), due)


class _Sessions(_VirtualRun):
    """Whole sessions, opened and begun one after the other."""

    def __init__(self, device: CostModel, sessions: int, pipelined: bool) -> None:
        super().__init__(device, sessions, pipelined)
        self.sessions = [Session(AVATAR, self.scheduler) for _ in range(sessions)]
        self.utterances = [one.open_utterance(SAMPLE_RATE) for one in self.sessions]
        self.intervals = list(self.scheduler.intervals.values())
        plan = self.scheduler.engine.backend.encoder.plan
        self.trackers = [LatencyTracker(plan, CHUNK_MS) for _ in range(sessions)]
        self.opens = sorted(self.drawn.randrange(WARM_UP_MS // 2) for _ in range(sessions))
        self.speaks = [opens + OPENING_MS + self.drawn.randrange(CHUNK_MS) for opens in self.opens]
        self.delays: list[int] = []
        self.before: list[tuple[int, int]] = []
        self._chunk = AudioChunk(
            np.zeros((SAMPLE_RATE * CHUNK_MS // 1000, 1), np.float32), SAMPLE_RATE
        )
        self.clock.on_tick = self._tick

    def counts(self) -> list[tuple[int, int]]:
        """Units of each session so far, and those of them without a picture of their own."""
        counts = [session.counts for session in self.sessions]
        return [(one.units + one.skipped, one.repeated + one.skipped) for one in counts]

    def _tick(self, now_ms: int) -> None:
        if now_ms == WARM_UP_MS:
            self.before = self.counts()
            for tracker in self.trackers:
                tracker.latencies.clear()
        for n, session in enumerate(self.sessions):
            spoken = now_ms - self.speaks[n]
            if spoken >= 0 and spoken % CHUNK_MS == 0:
                self.utterances[n].push(self._chunk)
                self.trackers[n].push(now_ms)
                if now_ms >= WARM_UP_MS:
                    self.delays.append(session.buffered_ms)
            while now_ms >= self.opens[n] and (unit := session.take(now_ms)) is not None:
                interval = self.intervals[n].pop(unit.index, None)
                if unit.speaking:
                    self.trackers[n].show(interval if unit.fresh else None)


class _ZeroSpeechNetwork:
    """A speech network that takes no time."""

    layers, width, piece = 1, 1, None

    def features(self, excerpts: Sequence[Excerpt], last: int | None = None) -> list[Floats]:
        steps = [min(len(one.samples) // 320, last or PIECE) for one in excerpts]
        return [np.zeros((count, 1, 1), np.float32) for count in steps]
