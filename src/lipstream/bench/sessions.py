"""How many people a machine serves who talk at their own pace, whatever happens to them.

Open loop, in real time, through the sessions and the scheduler of the product: each person's speech
comes in chunks as it is spoken, without a pause, so that every frame has to be painted.
A frame is late when its own picture is not there at its time, or not encoded 40 ms later.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lipstream.bench.answers import Answers, percentile
from lipstream.bench.encoding import open_encoders
from lipstream.bench.schedule import MAX_LATE, MAX_LATE_OF_ONE
from lipstream.bench.sound import ObservedScheduler, speech
from lipstream.engine import Engine
from lipstream.live.scheduler import Scheduler
from lipstream.live.session import Session, SessionEvent
from lipstream.media.audio import AudioChunk
from lipstream.rendering.registry import Backend
from lipstream.speech.base import SpeechEncoder
from lipstream.timeline import FPS, SAMPLE_RATE, UNIT_MS

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.bench.answers import Spell
    from lipstream.bench.encoding import Encode
    from lipstream.media.image import Floats
    from lipstream.rendering.base import Renderer

CHUNK_MS = 100
SPOKEN_S = 30.0  # of speech, said over and over
REPEATS = 3  # of the number that is told in the end


@dataclass(frozen=True, slots=True)
class Crowd:
    """What happened with a number of sessions at once."""

    sessions: int
    encoded: bool
    frames: int
    late: float  # share of frames
    worst: float  # the same of the session that fared worst
    chunk_ms: int  # of speech, pushed at once
    begun_p50: float | None  # ms until the device has the last frame that a chunk made possible
    begun_p99: float | None
    made_p50: float | None  # ms until that frame is made
    made_p99: float | None
    p50: float | None  # ms until a chunk's own last frame is out: its look-ahead and its turn too
    p99: float | None
    longest: float | None
    host_p50: float | None  # ms from a frame's turn to its being encoded
    host_p99: float | None
    batch: float  # frames, mean
    cpu: float  # cores that this process took

    @property
    def held(self) -> bool:
        return self.frames > 0 and self.late < MAX_LATE and self.worst <= MAX_LATE_OF_ONE

    def record(self) -> dict[str, object]:
        return asdict(self) | {"held": self.held}


@dataclass(frozen=True, slots=True, eq=False)
class House:
    """What all sessions of a run share."""

    renderer: Renderer
    encoder: SpeechEncoder
    avatar: Avatar
    batch: int
    warm_up_s: float = 5.0  # in which all begin to speak
    chunk_ms: int = CHUNK_MS  # of speech, pushed at once


def find_most(
    house: House, ceiling: int, seconds: float, encoded: bool, repeats: int = REPEATS
) -> Iterator[Crowd]:
    """Every number that was tried, by halves up to `ceiling`; then the largest again.

    The last one given is the answer: of the repeats of one number, the worst. None is held when
    its `held` says so.
    """

    def hold(sessions: int) -> Crowd:
        return asyncio.run(hold_crowd(house, sessions, seconds, encoded))

    # The first crowd of a process finds nothing warm; it does not count.
    asyncio.run(hold_crowd(replace(house, warm_up_s=1.0), 1, 0.5, encoded))
    best, low, high = None, 1, max(ceiling, 1)
    while low <= high:
        middle = (low + high + 1) // 2
        crowd = hold(middle)
        yield crowd
        if crowd.held:
            best, low = crowd, middle + 1
        else:
            high = middle - 1
    while best is not None:
        again = [best, *(hold(best.sessions) for _ in range(repeats - 1))]
        worst = max(again, key=lambda crowd: (not crowd.held, crowd.late))
        yield worst
        if worst.held or worst.sessions == 1:
            return
        best = hold(worst.sessions - 1)


async def hold_crowd(house: House, sessions: int, seconds: float, encoded: bool) -> Crowd:
    """Let `sessions` people talk for `seconds` after the warm-up."""
    backend = Backend("measured", house.encoder, house.renderer, FPS, house.batch, "a benchmark")
    scheduler = ObservedScheduler(Engine(backend))
    scheduler.start()
    draw = random.Random(sessions)
    sounds = [speech(SPOKEN_S, seed) for seed in range(min(sessions, 8))]
    with open_encoders(encoded) as (pool, encoder):
        people = [
            _Person(house, scheduler, sounds[n % len(sounds)], encoder(), pool)
            for n in range(sessions)
        ]
        for person, drawn in zip(people, scheduler.drawn.values(), strict=True):
            person.drawn = drawn
        delays = [draw.uniform(0, house.warm_up_s / 2) for _ in people]
        tasks = [
            asyncio.create_task(work)
            for person, delay in zip(people, delays, strict=True)
            for work in (person.watch(delay), person.talk(delay))
        ]
        try:
            await _pass(tasks, house.warm_up_s)
            before, cpu, began = scheduler.counts.drawn, time.process_time(), time.perf_counter()
            batches = scheduler.counts.batches
            for person in people:
                person.begin()
            await _pass(tasks, seconds)
            took = time.perf_counter() - began
            cpu = (time.process_time() - cpu) / took
            counts = [person.counts() for person in people]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for person in people:
                person.session.close()
            scheduler.close()
    made = scheduler.counts.drawn - before
    mean = made / max(scheduler.counts.batches - batches, 1)
    return _crowd(people, counts, encoded, house.chunk_ms, mean, cpu)


async def _pass(tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
    """Let time pass; what fails in a task fails here."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


def _crowd(
    people: Sequence[_Person],
    counts: Sequence[tuple[int, int]],
    encoded: bool,
    chunk_ms: int,
    batch: float,
    cpu: float,
) -> Crowd:
    frames, late = (sum(column) for column in zip(*counts, strict=True))
    answers = [answer for person in people for answer in person.answers.found]
    latencies = [ms for person in people for ms in person.latencies]
    return Crowd(
        len(people),
        encoded,
        frames,
        late / max(frames, 1),
        max(lost / max(all_, 1) for all_, lost in counts),
        chunk_ms,
        *_middle_and_tail([answer.begun for answer in answers]),
        *_middle_and_tail([answer.made for answer in answers]),
        *_middle_and_tail(latencies),
        max(latencies, default=None),
        *_middle_and_tail([ms for person in people for ms in person.encoding]),
        batch,
        cpu,
    )


def _middle_and_tail(values: Sequence[float]) -> tuple[float | None, float | None]:
    return percentile(values, 50), percentile(values, 99)


class _Person:
    """Talks without an end, and notes what became of each chunk."""

    def __init__(
        self,
        house: House,
        scheduler: Scheduler,
        sound: Floats,
        encode: Encode | None,
        pool: ThreadPoolExecutor | None,
    ) -> None:
        self.session = Session(house.avatar, scheduler)
        self.answers = Answers(house.encoder.plan, house.chunk_ms)
        self.latencies: list[float] = []  # ms until a chunk's own last frame was out
        self.encoding: list[float] = []  # ms from a frame's turn to its being encoded
        self.drawn: dict[int, Spell] = {}  # frames by their index
        self._sound, self._encode, self._pool = sound, encode, pool
        self._chunk_ms, self._clock = house.chunk_ms, scheduler.clock
        self._pushed: deque[tuple[int, float]] = deque()  # ms of speech so far, when
        self._said_ms = 0
        self._origin = math.inf  # when the unit with index 0 was due, about
        self._slow = 0  # frames encoded too late
        self._measuring = False
        self._before = (0, 0)
        self.session.add_listener(self._heard)

    def begin(self) -> None:
        """Count from now on."""
        self._measuring, self._slow = True, 0
        self.answers.found.clear()
        self._before = self._counts()

    def counts(self) -> tuple[int, int]:
        """Frames since `begin`, and those that were late."""
        frames, late = self._counts()
        return frames - self._before[0], late - self._before[1] + self._slow

    async def talk(self, delay_s: float) -> None:
        """The next chunk comes when its time has come, however far behind the session is."""
        size = SAMPLE_RATE * self._chunk_ms // 1000
        due, pushed = time.perf_counter() + delay_s + 0.5, 0
        while True:
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            start = pushed * size % (len(self._sound) - size)
            pushed += 1
            self._pushed.append((pushed * self._chunk_ms, time.perf_counter()))
            self.answers.push(self._clock.now_ms())
            chunk = AudioChunk(self._sound[start : start + size, np.newaxis], SAMPLE_RATE)
            self.session.push(chunk)
            due += self._chunk_ms / 1000

    async def watch(self, delay_s: float) -> None:
        """Take every unit when it is due, and have it encoded."""
        await asyncio.sleep(delay_s)
        async for unit in self.session.units():
            spell = self.drawn.pop(unit.index, None)
            # Its turn, not when it was taken: that may be late because the one before was encoded.
            self._origin = min(self._origin, time.perf_counter() - unit.index * UNIT_MS / 1000)
            due = self._origin + unit.index * UNIT_MS / 1000
            if self._encode is not None and self._pool is not None:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._pool, self._encode, unit.frame, unit.index)
                took = 1000 * (time.perf_counter() - due)
                if self._measuring:
                    self.encoding.append(took)
                    self._slow += unit.fresh and took > UNIT_MS  # others are late already
            if unit.speaking:
                self.answers.show(spell if unit.fresh else None)
                self._out()

    def _out(self) -> None:
        """A unit of speech has gone out."""
        self._said_ms += UNIT_MS
        now = time.perf_counter()
        while self._pushed and self._pushed[0][0] <= self._said_ms:
            _, when = self._pushed.popleft()
            if self._measuring:
                self.latencies.append(1000 * (now - when))

    def _counts(self) -> tuple[int, int]:
        counts = self.session.counts
        return counts.units + counts.skipped, counts.repeated + counts.skipped

    def _heard(self, event: SessionEvent) -> None:
        if event.kind == "failed":
            raise RuntimeError("a session could not speak while it was measured.")
