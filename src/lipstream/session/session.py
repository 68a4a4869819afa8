"""One person talking live: speech in, units out, one clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from lipstream.audio import AudioChunk
from lipstream.avatar.avatar import Avatar
from lipstream.batcher import Batcher
from lipstream.errors import BufferFullError, OptionError
from lipstream.playout import Clock
from lipstream.session.plan import Plan, Slot
from lipstream.session.utterance import Utterance, check_rate
from lipstream.session.values import (
    EventKind,
    Listener,
    SessionCounts,
    SessionEvent,
    SessionLimits,
    Unit,
)
from lipstream.timeline import SAMPLE_RATE, UNIT_MS, UNIT_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.video import Image

FIRST_PICTURE_MS = 500  # the avatar's own picture is shown when none is drawn by then
PLENTY_MS = 1000  # of speech in hand: nobody has to wait for the next chunk
RESAMPLING_UNITS = 5  # that a resampler may hold back

SILENCE: NDArray[np.int16] = np.zeros(UNIT_SAMPLES, np.int16)
SILENCE.flags.writeable = False


class Session:
    """Plays what is pushed, on one clock, and idles in between.

    Speech is heard and drawn only a few frames ahead of its time. An utterance starts when its
    first frames are ready. Picture and sound of a unit belong together: a frame that is late is
    replaced by the one before while the sound goes on; when too many are late, or the speech pushed
    runs out, both wait. The timeline itself never waits: between words it is filled with idle
    motion and silence, and after a stall it leaves units out but no words.

    Everything but the batcher's own work happens on the event loop's thread.
    """

    def __init__(
        self,
        avatar: Avatar,
        batcher: Batcher,
        *,
        clock: Clock | None = None,
        limits: SessionLimits | None = None,
    ) -> None:
        self.avatar = avatar
        self.counts = SessionCounts()
        self.generation = 0  # counts interrupts; what belongs to an older one is stale
        self.closed = False
        self.limits = limits or SessionLimits()
        self._batcher = batcher
        self._clock = clock or batcher.clock  # must show the time of the batcher's
        self._speech_plan = batcher.engine.backend.encoder.plan
        self._lane = batcher.open()
        self._plan = Plan(avatar, self._lane, self.limits.ahead)
        self._few = self.limits.ahead // 2  # units planned; at so few, more are
        self._utterances: deque[Utterance] = deque()  # pushed and not over; the first one plays
        self._open: Utterance | None = None  # the last one, as long as it has not ended
        self._fading: NDArray[np.int16] | None = None  # the sound after an interrupt
        self._picture: Image | None = None  # the last one given out
        self._origin: int | None = None  # when unit 0 was or would have been due
        self._asked: int | None = None  # when the first unit was asked for
        self._next = 0  # index of the next unit
        self._missed = 0  # units in a row without a picture of their own
        self._troubled = False  # idle frames cannot be drawn, and the listeners know
        self._slips = 0  # times in a row that a beginning was put off
        self._caution = 0  # frames that holes have added to `limits.lead`
        self._listeners: list[Listener] = []
        self._waiters: list[asyncio.Future[None]] = []  # for room
        self._loop: asyncio.AbstractEventLoop | None = None  # of the pump
        self._pumps = 0  # how many were opened; only the last one works

    @property
    def look_ahead_ms(self) -> int:
        """How much of what follows a frame must be known before it can be drawn."""
        return self._speech_plan.future * 1000 // SAMPLE_RATE

    @property
    def buffered_ms(self) -> int:
        """Speech that was pushed and not given out yet."""
        return sum(utterance.waiting_ms for utterance in self._utterances)

    def push(self, chunk: AudioChunk) -> None:
        """Take the next piece of speech, of any length.

        BufferFullError beyond `limits.buffer_s`; then nothing of the chunk is taken. AudioError
        when the rate differs from that of the utterance it continues, OptionError after `close`.
        """
        if self.closed:
            raise OptionError("this session is closed; open a new one to speak.")
        if self._open is not None:
            check_rate(self._open, chunk.sample_rate)
        if not len(chunk):
            return
        length = len(chunk) * 1000 // chunk.sample_rate
        if self._open is None:
            length = max(length, UNIT_MS)
        if self.buffered_ms + length > self._most_ms:
            raise BufferFullError(
                f"{self.buffered_ms} ms of speech wait already and {length} ms more would pass the "
                f"limit of {self._most_ms} ms; push on when some of it was played."
            )
        if self._open is None:
            hearing = self._batcher.hearing(self.avatar, chunk.sample_rate, self.generation)
            self.counts.utterances += 1
            self._open = Utterance(self.counts.utterances, hearing, chunk.sample_rate)
            self._utterances.append(self._open)
        self._open.push(chunk.mono())
        self._prepare(self._clock.now_ms())

    async def room(self, ms: int) -> None:
        """Return when `ms` more may be pushed, or when the session is closed."""
        while not self.closed and self.buffered_ms + min(ms, self._most_ms) > self._most_ms:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def end(self) -> None:
        """The utterance is complete: what is pushed next begins another one."""
        if self._open is not None:
            self._open.ended = True
            self._open = None
            self._prepare(self._clock.now_ms())

    def interrupt(self) -> int:
        """Stop speaking at once and forget all that waits.

        The sound fades out within 20 ms of the next unit, the mouth closes within three frames.
        Returns how much of the utterance was given out, ms; 0 when nothing plays.
        """
        self.generation += 1
        if not self._utterances:
            return 0
        first = self._utterances[0]
        if self._plan.flowing and first.started:
            self._fading = first.fade_out()
        self._plan.stop()
        self._forget_speech()
        self.counts.interrupts += 1
        self._emit("interrupted", first.number, first.played_ms)
        self._prepare(self._clock.now_ms())
        return first.played_ms

    def add_listener(self, listener: Listener) -> Callable[[], None]:
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
        slots = self._plan.slots
        slot = slots.popleft() if slots else None
        index = self._next
        self._next += 1
        samples, speaking = SILENCE, False
        if self._utterances or self._fading is not None or self._plan.shown is not None:
            slot = self._speak(slot)
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
        if self._utterances or len(slots) <= self._few:
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
                elif self._origin is None:
                    await self._first_picture()
                else:
                    await self._clock.sleep_until(self._origin + UNIT_MS * self._next)
        finally:
            if self._pumps == pump:
                self._loop = None
                self._rest()

    def close(self) -> None:
        """Stop, and leave nothing behind. May be called twice."""
        if self.closed:
            return
        self.closed = True
        self._plan.stop()
        self._forget_speech()
        self._lane.close()
        self._listeners.clear()

    @property
    def _most_ms(self) -> int:
        return int(self.limits.buffer_s * 1000)

    # Opening and resuming the timeline

    def _open_timeline(self, now_ms: int) -> bool:
        """Start the clock when the first picture is drawn, or has taken too long."""
        if self._asked is None:
            self._asked = now_ms
            self._plan.fill(self._next, now_ms + FIRST_PICTURE_MS - UNIT_MS * self._next)
        if not self._plan.slots[0].done and now_ms < self._asked + FIRST_PICTURE_MS:
            return False
        self._asked, self._origin = None, now_ms - UNIT_MS * self._next
        self._prepare(now_ms)
        return True

    async def _first_picture(self) -> None:
        """Wait until the timeline can be opened."""
        if self._open_timeline(self._clock.now_ms()):
            return
        assert self._asked is not None and self._loop is not None
        loop, ready, slot = self._loop, asyncio.Event(), self._plan.slots[0]
        slot.wake = lambda: _call(loop, ready.set)
        if slot.done:
            return
        deadline = self._clock.sleep_until(self._asked + FIRST_PICTURE_MS)
        waits = [asyncio.ensure_future(wait) for wait in (ready.wait(), deadline)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

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

    # Playing speech

    def _speak(self, slot: Slot | None) -> Slot | None:
        """What is shown instead of `slot` when speech is to come; None repeats the last picture."""
        plan = self._plan
        if slot is None:
            if plan.flowing:  # a hole in the speech that was pushed, or it is heard too slowly
                self._pause(slot)
            return None
        if slot.utterance is None:
            plan.shown = None if slot.request.conditioning is None else slot
            return slot
        if slot.beginning and not self._may_begin(slot):
            self._slips += 1
            plan.delay()
            self._pause(slot, underrun=False)
            return slot.spare
        late = slot.picture is None and slot.error is None
        if late and self._missed >= self.limits.patience:
            self._pause(slot)
            return None
        self._slips = 0
        plan.shown = slot
        return slot

    def _may_begin(self, slot: Slot) -> bool:
        """The first frames are drawn, or have failed, or were waited for long enough.

        While nothing at all is drawn, not even idle frames, there is no end to waiting.
        """
        following = islice(self._plan.slots, self.limits.lead - 1)
        if all(one.picture is not None or one.error is not None for one in (slot, *following)):
            return True
        return self._slips >= self.limits.patience > self._missed

    def _pause(self, slot: Slot | None, underrun: bool = True) -> None:
        """Speech waits at `slot` until enough of it is ready again."""
        if slot is not None:
            self._plan.slots.appendleft(slot)
        self._plan.unplan()
        if underrun:
            self.counts.underruns += 1
            self._caution += 1

    def _read(self, utterance: Utterance) -> NDArray[np.int16]:
        if not utterance.started:
            self._emit("started", utterance.number, 0)
        return utterance.read()

    def _repeat(self, slot: Slot | None) -> Image:
        """The picture for a unit whose own is not there."""
        self.counts.repeated += 1
        self._missed += 1
        if slot is not None:
            slot.wanted = False
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
        elif not utterance.failed:
            utterance.failed = True
            self._emit("failed", utterance.number, utterance.played_ms)

    # Preparing what comes

    def _prepare(self, now_ms: int) -> None:
        """Have speech heard and units planned and drawn as far ahead as is allowed."""
        if self._utterances:
            self._hear(now_ms)
        if self._origin is not None:
            if self._utterances and not self._plan.flowing:
                first = self._utterances[0]
                if first.ready(self._lead(first)):
                    self._plan.begin(first, self._next, self._origin, now_ms)
            self._plan.fill(self._next, self._origin)

    def _hear(self, now_ms: int) -> None:
        """Take what was heard, ask for more, end what is over."""
        while self._utterances:
            first = self._utterances[0]
            failed = first.collect() is not None
            if not (failed or first.over):
                break
            self._utterances.popleft()
            if self._open is first:
                self._open = None
            if self._plan.speech is first:
                self._plan.stop() if failed else self._plan.finish()
            self._caution = max(self._caution - 1, 0)
            self._emit("failed" if failed else "ended", first.number, first.played_ms)
        for utterance in islice(self._utterances, 2):
            lead = self._lead(utterance)
            wake = self._wake if len(utterance.mouths) < lead and self._loop is not None else None
            utterance.feed(self._lane, self._feed_ahead(lead), now_ms, wake)
            if utterance.unfed:
                break
        if self._waiters:
            self._make_room()

    def _lead(self, utterance: Utterance) -> int:
        """Frames to be heard before `utterance` begins or goes on.

        Where speech comes no faster than it is spoken, it must last until the next chunk.
        """
        lead = self.limits.lead
        if not utterance.ended and utterance.in_hand_ms < PLENTY_MS:
            chunk = -(-utterance.longest_chunk * 1000 // (utterance.rate * UNIT_MS))
            lead = max(lead, chunk + 1) + self._caution
        if self._speech_plan.step > 1:
            lead = max(lead, self._speech_plan.step + 1)
        return min(lead, self.limits.most_lead)

    def _feed_ahead(self, lead: int) -> int:
        """Frames whose sound the batcher may have beyond those planned."""
        look_ahead = -(-self.look_ahead_ms // UNIT_MS) + RESAMPLING_UNITS + self._speech_plan.step
        return max(self.limits.heard_ahead, lead) + look_ahead

    def _wake(self) -> None:
        """Called on the batcher's thread when speech was heard that somebody waits for."""
        if (loop := self._loop) is not None:
            _call(loop, self._woken)

    def _woken(self) -> None:
        if not self.closed and self._origin is not None:
            self._prepare(self._clock.now_ms())

    # Small duties

    def _forget_speech(self) -> None:
        for utterance in self._utterances:
            utterance.forget()
        self._utterances.clear()
        self._open = None
        self._make_room()

    def _make_room(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def _emit(self, kind: EventKind, utterance: int, played_ms: int) -> None:
        event = SessionEvent(kind, utterance, played_ms)
        for listener in tuple(self._listeners):
            listener(event)


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Run `callback` on the thread of `loop`, unless that is over."""
    with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is left to be woken
        loop.call_soon_threadsafe(callback)
