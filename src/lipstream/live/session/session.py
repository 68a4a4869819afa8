"""One person talking live: speech in, units out, one clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.errors import OptionError
from lipstream.live.clock import Clock
from lipstream.live.scheduler import Scheduler
from lipstream.live.session.frame_plan import FramePlan, PlannedUnit
from lipstream.live.session.speech_queue import SpeechQueue
from lipstream.live.session.types import (
    EventKind,
    EventListener,
    SessionCounts,
    SessionEvent,
    SessionLimits,
    Unit,
)
from lipstream.live.session.utterance import Utterance
from lipstream.live.session.wakeup import call_on, until_done
from lipstream.media.audio import AudioChunk
from lipstream.timeline import UNIT_MS, UNIT_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.media.image import Image

FIRST_PICTURE_MS = 300  # the avatar's own picture is shown when none is drawn by then

SILENCE: NDArray[np.int16] = np.zeros(UNIT_SAMPLES, np.int16)
SILENCE.flags.writeable = False


class Session:
    """Plays what is pushed, on one clock, and idles in between.

    SpeechQueue is heard and drawn only a few frames ahead of its time. An utterance starts when its
    first frames are ready. Picture and sound of a unit belong together: a frame that is late is
    replaced by the one before while the sound goes on; when too many are late, or the speech pushed
    runs out, both wait. The timeline itself never waits: between words it is filled with idle
    motion and silence, and after a stall it leaves units out but no words.

    All but the scheduler's own work happens on the thread of one event loop.
    """

    def __init__(
        self,
        avatar: Avatar,
        scheduler: Scheduler,
        *,
        clock: Clock | None = None,
        limits: SessionLimits | None = None,
    ) -> None:
        self.avatar = avatar
        self.counts = SessionCounts()
        self.closed = False
        self.limits = limits or SessionLimits()
        self._scheduler = scheduler
        self._clock = clock or scheduler.clock  # must show the time of the scheduler's
        self._queue = scheduler.open()
        self._plan = FramePlan(avatar, self._queue, self.limits, self._hole)
        self._speech = SpeechQueue(avatar, scheduler, self._queue, self.limits)
        self._few = self.limits.ahead // 2  # units planned; at so few, more are
        self._fading: NDArray[np.int16] | None = None  # the sound after an interrupt
        self._picture: Image | None = None  # the last one given out
        self._origin: int | None = None  # when unit 0 was or would have been due
        self._asked: int | None = None  # when the first unit was asked for
        self._next = 0  # index of the next unit
        self._missed = 0  # units in a row without a picture of their own
        self._troubled = False  # idle frames cannot be drawn, and the listeners know
        self._listeners: list[EventListener] = []
        self._loop: asyncio.AbstractEventLoop | None = None  # of the pump
        self._pumps = 0  # how many were opened; only the last one works

    @property
    def look_ahead_ms(self) -> int:
        """How much of what follows a frame must be known before it can be drawn, at most."""
        return self._speech.look_ahead_ms

    @property
    def buffered_ms(self) -> int:
        """SpeechQueue that was pushed and not given out yet."""
        return self._speech.buffered_ms

    def push(self, chunk: AudioChunk) -> None:
        """Take the next piece of speech, of any length.

        BufferFullError beyond `limits.buffer_s`; then nothing of the chunk is taken. AudioError
        when the rate differs from that of the utterance it continues, OptionError after `close`.
        """
        if self.closed:
            raise OptionError("this session is closed; open a new one to speak.")
        now_ms = self._clock.now_ms()
        self._speech.push(chunk, now_ms)
        self.counts.utterances = self._speech.begun
        self._prepare(now_ms)

    async def room(self, ms: int) -> None:
        """Return when `ms` more may be pushed, or when the session is closed.

        More than can wait at all has room when nothing waits.
        """
        await self._speech.room(ms)

    def end(self) -> None:
        """The utterance is complete: what is pushed next begins another one."""
        if self._speech.end():
            self._prepare(self._clock.now_ms())

    def interrupt(self) -> int:
        """Stop speaking at once and forget all that waits.

        The sound fades out within 20 ms of the next unit, the mouth closes within three frames.
        Returns how much of the utterance was given out, ms; 0 when nothing plays.
        """
        if not self._speech.waiting:
            return 0
        first = self._speech.waiting[0]
        if self._plan.flowing and first.started:
            self._fading = first.fade_out()
        self._plan.stop()
        self._speech.clear()
        self.counts.interrupts += 1
        self._emit("interrupted", first.number, first.played_ms)
        self._prepare(self._clock.now_ms())
        return first.played_ms

    def add_listener(self, listener: EventListener) -> Callable[[], None]:
        """Call `listener` with every event, on the event loop's thread; returns a remover."""
        self._listeners.append(listener)

        def remove() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return remove

    def take(self, now_ms: int) -> Unit | None:
        """The next unit if it is due at `now_ms` of the clock, else None."""
        if self.closed or (self._origin is None and not self._open_timeline(now_ms)):
            return None
        assert self._origin is not None
        behind = now_ms - self._origin - UNIT_MS * self._next
        if behind < 0:
            return None
        if behind >= UNIT_MS // 2:
            self._fall_behind(behind)
        slot = self._plan.take(self._missed)
        index = self._next
        self._next += 1
        samples, speaking = SILENCE, False
        if slot is not None and slot.utterance is not None:
            samples, speaking = self._read(slot.utterance), True
        elif self._fading is not None:
            samples, self._fading = self._fading, None
        picture = slot.picture if slot is not None else None
        fresh = picture is not None
        if picture is None:
            picture = self._repeat(slot)
        else:
            self._picture = picture
            if self._missed:
                self._missed, self._troubled = 0, False
        self.counts.units += 1
        if self._speech.waiting or len(self._plan.slots) <= self._few:
            self._prepare(now_ms)
        return Unit(index, picture, samples, speaking, fresh)

    async def units(self) -> AsyncGenerator[Unit, None]:
        """The units as they become due, until `close`.

        May be called again, when its caller has gone: the timeline then goes on where it stopped,
        and so does speech. Only the iterator opened last gives units.
        """
        self._pumps += 1
        pump, self._loop = self._pumps, asyncio.get_running_loop()
        self._rest()
        try:
            while not self.closed and self._pumps == pump:
                unit = self.take(self._clock.now_ms())
                if unit is not None:
                    yield unit
                elif self._asked is not None:
                    deadline = self._asked + FIRST_PICTURE_MS
                    await until_done(self._plan.slots[0], self._clock, deadline)
                elif self._origin is not None:
                    await self._clock.sleep_until(self._origin + UNIT_MS * self._next)
        finally:
            if self._pumps == pump:
                self._loop = None
                self._rest()

    def close(self) -> None:
        """Stop, and leave nothing behind. May be called twice."""
        if not self.closed:
            self.closed = True
            self._plan.stop()
            self._speech.clear()
            self._queue.close()
            self._listeners.clear()

    def _open_timeline(self, now_ms: int) -> bool:
        """Start the clock when the first picture is drawn, or has taken too long."""
        if self._asked is None:
            self._asked = now_ms
            self._plan.fill(self._next, now_ms + FIRST_PICTURE_MS - UNIT_MS * self._next)
        if not self._plan.slots[0].done and now_ms < self._asked + FIRST_PICTURE_MS:
            return False
        self._asked, self._origin = None, now_ms - UNIT_MS * self._next
        self._plan.retime(self._next, self._origin)
        self._prepare(now_ms)
        return True

    def _rest(self) -> None:
        """Nobody takes units: the timeline stands still, speech waits."""
        self._plan.unplan()
        self._asked = self._origin = None

    def _fall_behind(self, behind: int) -> None:
        """A unit is given out `behind` ms after it was due."""
        self.counts.late += 1
        units = behind // UNIT_MS
        if units > self.limits.catch_up:
            self._next += units
            self.counts.skipped += units
            self._plan.skip(self._next)

    def _hole(self) -> None:
        self.counts.underruns += 1
        self._speech.hole()

    def _read(self, utterance: Utterance) -> NDArray[np.int16]:
        if not utterance.started:
            self._emit("started", utterance.number, 0)
        return utterance.read()

    def _repeat(self, slot: PlannedUnit | None) -> Image:
        """The picture for a unit whose own is not there."""
        self.counts.repeated += 1
        self._missed += 1
        if slot is not None:
            slot.cancelled = True
            self.counts.dropped += 1
            if slot.error is not None:
                self._tell_failure(slot.utterance)
        if self._picture is None:
            self._picture = self.avatar.at(self._next).pixels
        return self._picture

    def _tell_failure(self, utterance: Utterance | None) -> None:
        """A frame could not be drawn: told once an utterance, and once a time of rest."""
        if utterance is None:
            if not self._troubled:
                self._troubled = True
                self._emit("failed", 0, 0)
        elif not utterance.failed_to_draw:
            utterance.failed_to_draw = True
            self._emit("failed", utterance.number, utterance.played_ms)

    def _prepare(self, now_ms: int) -> None:
        """Have speech heard and units planned and drawn as far ahead as is allowed."""
        plan = self._plan
        for utterance in self._speech.over():
            if plan.speech is utterance:
                plan.stop() if utterance.failed_to_hear else plan.finish()
            kind: EventKind = "failed" if utterance.failed_to_hear else "ended"
            self._emit(kind, utterance.number, utterance.played_ms)
        self._speech.feed(now_ms, self._wake if self._loop is not None else None)
        if self._origin is not None:
            if plan.flowing and plan.speech is not None:
                plan.hasten(self._next, self._origin, self._earliest(plan.speech, now_ms))
            elif (ready := self._speech.ready()) is not None:
                plan.begin(ready, self._next, self._origin, self._earliest(ready, now_ms))
            plan.fill(self._next, self._origin)

    def _earliest(self, utterance: Utterance, now_ms: int) -> int:
        """When `utterance` may begin, if its first frames are asked for at `now_ms`."""
        return max(now_ms + self._scheduler.drawing_ms, self._speech.begins_at(utterance))

    def _wake(self) -> None:
        """Called on the scheduler's thread when speech was heard that somebody waits for."""
        if (loop := self._loop) is not None:
            call_on(loop, self._woken)

    def _woken(self) -> None:
        if not self.closed and self._origin is not None:
            self._prepare(self._clock.now_ms())

    def _emit(self, kind: EventKind, utterance: int, played_ms: int) -> None:
        for listener in tuple(self._listeners):
            listener(SessionEvent(kind, utterance, played_ms))
