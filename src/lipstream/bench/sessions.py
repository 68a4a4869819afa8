"""The number of live sessions that a machine holds, by open-loop load in real time.

Simulated clients speak in chunks as speech comes, without a pause and whatever becomes of it,
through the product's own sessions and scheduler. A frame is late when its own picture is missing at
its time, or when it is not encoded 40 ms later.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import TypeAlias

import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.bench.speech_signal import speech
from lipstream.engine import Engine
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.session.session import Session
from lipstream.live.session.types import SessionEvent, Unit
from lipstream.media.image import Floats, Picture
from lipstream.timeline import SAMPLE_RATE, UNIT_MS

Encode: TypeAlias = Callable[[Picture, int], Awaitable[object]]  # picture, index in its stream

CHUNK_MS = 100
SPEECH_S = 30.0  # of the signal that a client repeats
REPEATS = 3  # of the number that is reported
BITRATE = 2_500_000
MAX_LATE, MAX_LATE_OF_ONE = 0.01, 0.02  # shares of all frames, and of one session's


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The outcome of a number of sessions at once.

    `latency` has the 50th and 99th percentile in ms of `out`, from the push of a chunk until its
    last frame is given out, look-ahead included, and of `host`, from a frame's turn to its being
    encoded.
    """

    sessions: int
    encoded: bool
    frames: int
    late: float  # share of frames
    worst: float  # the same of the worst session
    chunk_ms: int  # of speech per push
    latency: Mapping[str, float | None]
    batch: float  # frames, mean
    cpu: float  # cores that this process used

    @property
    def held(self) -> bool:
        return self.frames > 0 and self.late < MAX_LATE and self.worst <= MAX_LATE_OF_ONE

    def record(self) -> dict[str, object]:
        """The result as plain values."""
        fields = asdict(self)
        return fields | dict(fields.pop("latency")) | {"held": self.held}


@dataclass(frozen=True, slots=True, eq=False)
class LoadSetup:
    """Everything that the sessions of a run share."""

    engine: Engine
    avatar: Avatar  # prepared
    warm_up_s: float = 5.0  # in which all clients begin to speak
    chunk_ms: int = CHUNK_MS
    scheduler: type[Scheduler] = Scheduler
    client: type[SimulatedClient] | None = None  # None: `SimulatedClient`


def can_encode() -> bool:
    """True where the extra `server` is installed, whose encoders are measured too."""
    return find_spec("aiortc") is not None


def find_max_sessions(
    setup: LoadSetup, ceiling: int, seconds: float, encoded: bool
) -> Iterator[LoadResult]:
    """Every number tried, by bisection up to `ceiling`, then the largest again.

    The last result is the answer: the worst repeat of its number. None is held unless it says so.
    """

    def run(sessions: int) -> LoadResult:
        return asyncio.run(run_load(setup, sessions, seconds, encoded))

    # The first load of a process meets cold caches; it does not count.
    asyncio.run(run_load(replace(setup, warm_up_s=1.0), 1, 0.5, encoded))
    best, low, high = None, 1, max(ceiling, 1)
    while low <= high:
        middle = (low + high + 1) // 2
        result = run(middle)
        yield result
        if result.held:
            best, low = result, middle + 1
        else:
            high = middle - 1
    while best is not None:
        again = [best, *(run(best.sessions) for _ in range(REPEATS - 1))]
        worst = max(again, key=lambda result: (not result.held, result.late))
        yield worst
        if worst.held or worst.sessions == 1:
            return
        best = run(worst.sessions - 1)


async def run_load(setup: LoadSetup, sessions: int, seconds: float, encoded: bool) -> LoadResult:
    """Let `sessions` clients speak for `seconds` after the warm-up."""
    scheduler = setup.scheduler(setup.engine)
    new_client = setup.client or SimulatedClient
    scheduler.start()
    drawn = random.Random(sessions)
    signals = [speech(SPEECH_S, seed) for seed in range(min(sessions, 8))]
    with video_encoders(encoded) as new_encoder:
        clients = [
            new_client(setup, scheduler, signals[n % len(signals)], new_encoder())
            for n in range(sessions)
        ]
        delays = [drawn.uniform(0, setup.warm_up_s / 2) for _ in clients]
        tasks = [
            asyncio.create_task(work)
            for client, delay in zip(clients, delays, strict=True)
            for work in (client.watch(delay), client.talk(delay))
        ]
        try:
            await _wait(tasks, setup.warm_up_s)
            before = replace(scheduler.counts)
            cpu, began = time.process_time(), time.perf_counter()
            for client in clients:
                client.begin()
            await _wait(tasks, seconds)
            cpu = (time.process_time() - cpu) / (time.perf_counter() - began)
            counts = [client.counts() for client in clients]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for client in clients:
                client.session.close()
            scheduler.close()
    frames, late = (sum(column) for column in zip(*counts, strict=True))
    return LoadResult(
        sessions,
        encoded,
        frames,
        late / max(frames, 1),
        max(lost / max(all_, 1) for all_, lost in counts),
        setup.chunk_ms,
        _percentiles(clients),
        (scheduler.counts.drawn - before.drawn) / max(scheduler.counts.batches - before.batches, 1),
        cpu,
    )


async def _wait(tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
    """Let time pass; raise what a task raised."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


def _percentiles(clients: Sequence[SimulatedClient]) -> dict[str, float | None]:
    found: dict[str, list[float]] = {}
    for client in clients:
        for name, values in client.latencies().items():
            found.setdefault(name, []).extend(values)
    return {
        f"{name}_p{percent}": float(np.percentile(values, percent)) if values else None
        for name, values in found.items()
        for percent in (50, 99)
    }


class SimulatedClient:
    """Speaks without an end, and notes the fate of each chunk and frame."""

    def __init__(
        self, setup: LoadSetup, scheduler: Scheduler, signal: Floats, encode: Encode | None
    ) -> None:
        self.session = Session(setup.avatar, scheduler)
        self.out_ms: list[float] = []  # from a chunk's push to its own last frame
        self.encoded_ms: list[float] = []  # from a frame's turn to its being encoded
        self._signal, self._encode = signal, encode
        self._chunk_ms = setup.chunk_ms
        self._pushed: deque[tuple[int, float]] = deque()  # ms of speech so far, time
        self._spoken_ms = 0
        self._origin = math.inf  # time at which the unit with index 0 was due, about
        self._slow = 0  # frames encoded too late
        self._measuring = False
        self._before = (0, 0)
        self.session.add_listener(_raise_failure)

    def begin(self) -> None:
        """Count from now on."""
        self._measuring, self._slow = True, 0
        self._before = self._counts()

    def counts(self) -> tuple[int, int]:
        """Frames since `begin`, and those of them that were late."""
        frames, late = self._counts()
        return frames - self._before[0], late - self._before[1] + self._slow

    def latencies(self) -> dict[str, Sequence[float]]:
        """Latencies since `begin`, ms."""
        return {"out": self.out_ms, "host": self.encoded_ms}

    def chunk_pushed(self) -> None:
        """For subclasses: the next chunk is pushed now."""

    def unit_shown(self, unit: Unit) -> None:
        """For subclasses: a unit was given out, and encoded."""

    async def talk(self, delay_s: float) -> None:
        """Push each chunk at its time, however far behind the session is."""
        size = SAMPLE_RATE * self._chunk_ms // 1000
        due, pushed = time.perf_counter() + delay_s + 0.5, 0
        utterance = self.session.open_utterance(SAMPLE_RATE)
        while True:
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            start = pushed * size % (len(self._signal) - size)
            pushed += 1
            self._pushed.append((pushed * self._chunk_ms, time.perf_counter()))
            self.chunk_pushed()
            utterance.push(self._signal[start : start + size, np.newaxis])
            due += self._chunk_ms / 1000

    async def watch(self, delay_s: float) -> None:
        """Take every unit when it is due, and have it encoded."""
        await asyncio.sleep(delay_s)
        async for unit in self.session.units():
            # Its turn, not when it was taken: the one before may still have been encoded then.
            self._origin = min(self._origin, time.perf_counter() - unit.index * UNIT_MS / 1000)
            if self._encode is not None:
                await self._encode(unit.frame, unit.index)
                due = self._origin + unit.index * UNIT_MS / 1000
                took = 1000 * (time.perf_counter() - due)
                if self._measuring:
                    self.encoded_ms.append(took)
                    self._slow += unit.fresh and took > UNIT_MS  # others are late already
            if unit.speaking:
                self.count_out()
            self.unit_shown(unit)

    def count_out(self) -> None:
        """Count one more unit of speech as given out."""
        self._spoken_ms += UNIT_MS
        now = time.perf_counter()
        while self._pushed and self._pushed[0][0] <= self._spoken_ms:
            _, pushed = self._pushed.popleft()
            if self._measuring:
                self.out_ms.append(1000 * (now - pushed))

    def _counts(self) -> tuple[int, int]:
        counts = self.session.counts
        return counts.units + counts.skipped, counts.repeated + counts.skipped


def _raise_failure(event: SessionEvent) -> None:
    if event.kind in ("failed", "render_failed"):
        raise RuntimeError("a session failed while it was measured.")


@contextmanager
def video_encoders(encoded: bool) -> Iterator[Callable[[], Encode | None]]:
    """A function that opens an H.264 encoder, all in one pool of threads; None if not `encoded`."""
    if not encoded:
        yield lambda: None
        return
    from lipstream.server.rtc.encoders import FRAME_TICKS, open_video_encoder

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "video-encoder") as pool:

        def new_encoder() -> Encode:
            video = open_video_encoder("H264", BITRATE, hardware=False)

            async def encode(picture: Picture, index: int) -> object:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(pool, video.encode, picture, index * FRAME_TICKS)

            return encode

        yield new_encoder
