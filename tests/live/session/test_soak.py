"""A day of virtual time: not one sample of drift, every frame counted, every queue bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lipstream.engine import Engine
from lipstream.live.clock import ManualClock
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.session.session import Session
from lipstream.live.session.types import SessionEvent, SessionLimits, Unit
from lipstream.media.audio import AudioChunk
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.registry import Backend
from lipstream.speech.base import Plan
from lipstream.timeline import FPS, UNIT_MS, UNIT_SAMPLES
from tests.fakes import StripeEncoder, StripeRenderer, blank_avatar

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

HOUR_MS = 3_600_000
RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
# Idle frames in large blocks: this is about time, not about how quickly speech begins.
LIMITS = SessionLimits(ahead=32)


class ConstantRenderer(StripeRenderer):
    """One picture for all: job costs nothing, so that a day passes in seconds."""

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        return [PICTURE] * len(requests)


PICTURE = np.zeros((2, 2, 3), np.uint8)


class ConstantState:
    """Ignores the sound, which costs nothing."""

    def advance(self, samples: Floats, frames: range, end: int | None = None) -> Floats:
        return np.zeros((len(frames), 1), np.float32)

    def fork(self) -> ConstantState:
        return self


class ConstantEncoder(StripeEncoder):
    """Gives every frame the same conditioning."""

    def open(self, fps: Fraction) -> ConstantState:  # type: ignore[override]
        return ConstantState()


@dataclass
class Talk:
    """One utterance as it was pushed: its samples, and what was played of it."""

    samples: int
    rate: int
    units: int = 0  # that carried it
    loud: int = 0  # samples at 48 kHz that were not silent


@dataclass
class Soak:
    """A session that idles for hours and talks now and then, on a clock moved by hand."""

    seed: int
    clock: ManualClock = field(default_factory=ManualClock)
    talks: list[Talk] = field(default_factory=list)
    events: list[SessionEvent] = field(default_factory=list)
    max_waiting: int = 0  # of anything that queues

    def __post_init__(self) -> None:
        backend = Backend(
            "soak", ConstantEncoder(Plan(0, 1, 960)), ConstantRenderer(), FPS, 16, "a test"
        )
        self.random = np.random.default_rng(self.seed)
        self.scheduler = Scheduler(Engine(backend), clock=self.clock)
        self.session = Session(blank_avatar(2, 2), self.scheduler, limits=LIMITS)
        self.session.add_listener(self.events.append)
        self.taken = 0
        assert self.session.take(self.clock.now_ms()) is None  # asks for the first picture
        self.work()
        self.take()
        self.origin = self.clock.now_ms()

    def idle(self, units: int) -> None:
        """Play `units` units of nothing; each must be silent and in its place."""
        take, clock, step = self.session.take, self.clock, self.scheduler.step
        index = self.taken
        for _ in range(units):
            clock.advance(UNIT_MS)
            unit = take(clock.now_ms())
            assert unit is not None and unit.index == index and unit.fresh and not unit.speaking
            index += 1
            if index % 16 == 0:
                while step():
                    pass
        self.taken = index

    def take(self) -> Unit:
        unit = self.session.take(self.clock.now_ms())
        assert unit is not None and unit.index == self.taken
        self.taken += 1
        return unit

    def work(self) -> None:
        while self.scheduler.step():
            pass
        queue = self.session._queue
        plan = self.session._plan
        waiting = (len(queue.render_jobs), len(queue.encode_jobs), len(plan.units))
        self.max_waiting = max(self.max_waiting, *waiting)

    def converse(self) -> None:
        """Push an utterance of random length in random pieces, with a hole now and then."""
        rate = int(self.random.choice(RATES))
        talk = Talk(int(self.random.integers(1, 6 * rate)), rate)
        self.talks.append(talk)
        left, utterance = talk.samples, self.session.open_utterance(rate)
        while left or self.session.buffered_ms or len(self.events) < 2 * len(self.talks):
            if left:
                length = min(int(self.random.integers(1, rate // 2)), left)
                # Constant sound: no sample of it is silent whatever the resampling.
                sound = np.full((length, 1), 0.5, np.float32)
                utterance.push(AudioChunk(sound, rate))
                left -= length
                if not left:
                    utterance.end()
            for _ in range(int(self.random.integers(0, 20))):
                self.work()
                self.clock.advance(UNIT_MS)
                unit = self.take()
                if unit.speaking:
                    talk.units += 1
                    talk.loud += int(np.count_nonzero(unit.samples))

    def check(self) -> None:
        counts = self.session.counts
        assert counts.units == self.taken
        assert (counts.late, counts.skipped, counts.dropped) == (0, 0, 0)
        # The unit of this moment is the last one taken: no drift at all.
        assert (self.clock.now_ms() - self.origin) == UNIT_MS * (self.taken - 1)
        assert self.session.buffered_ms == 0 and not self.session._speech.waiting
        assert counts.utterances == len(self.talks) > 0
        kinds = [event.kind for event in self.events]
        assert kinds == ["started", "ended"] * len(self.talks)
        for talk, event in zip(self.talks, self.events[1::2], strict=True):
            samples = round(talk.samples * 48_000 / talk.rate)
            frames = max(talk.samples * 25 // talk.rate, 1)
            assert talk.units == max(frames, -(-samples // UNIT_SAMPLES))
            assert abs(talk.loud - samples) <= 200  # the filter rings at both ends
            assert abs(event.played_ms - samples // 48) <= 1
        assert self.max_waiting <= 2 * LIMITS.ahead


def soak(hours: float, talk_every_s: int, seed: int = 0) -> Soak:
    run = Soak(seed)
    while run.clock.now_ms() < hours * HOUR_MS:
        run.idle(int(run.random.integers(1, 2 * talk_every_s * 25)))
        run.converse()
        run.idle(100)
    run.check()
    return run


@pytest.mark.parametrize("seed", range(3))
def test_twenty_minutes_without_drift(seed: int) -> None:
    assert len(soak(1 / 3, 30, seed).talks) > 15


@pytest.mark.load
def test_more_than_a_day_without_drift() -> None:
    """Longer than 32 bits count: samples at 48 kHz (24.9 h), ticks of 90 kHz (13.3 h)."""
    run = soak(28, 350)
    assert run.taken * UNIT_SAMPLES > 2**32
    assert len(run.talks) > 200
