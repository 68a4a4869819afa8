"""A live session of one avatar: speech in, units out, one clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.avatar import Avatar
from lipstream.config import MotionLevel
from lipstream.errors import LipstreamError, OptionError
from lipstream.live.clock import Clock
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.session.event_dispatch import EventDispatch
from lipstream.live.session.frame_plan import FramePlan
from lipstream.live.session.picture_track import PictureTrack
from lipstream.live.session.speech_queue import SpeechQueue
from lipstream.live.session.text_queue import SpokenText, TextQueue
from lipstream.live.session.types import (
    EventListener,
    SessionCounts,
    SessionLimits,
    Unit,
    UtteranceState,
)
from lipstream.live.session.utterance import Utterance
from lipstream.live.session.utterance_buffer import UtteranceBuffer
from lipstream.live.session.wakeup import call_on, until_done
from lipstream.speech.synthesis.base import Synthesizer
from lipstream.timeline import UNIT_MS, UNIT_SAMPLES

FIRST_PICTURE_MS = 300  # the avatar's own picture is shown when none is drawn by then

SILENCE: NDArray[np.int16] = np.zeros(UNIT_SAMPLES, np.int16)
SILENCE.flags.writeable = False


class Session:
    """Plays the utterances that are opened, in their order, on one clock, and idles in between.

    Speech is encoded and drawn only a few frames ahead of its time. An utterance starts when its
    first frames are ready. A frame that is late is replaced by the one before while the sound goes
    on; when too many are late, or the speech pushed runs out, picture and sound both wait. The
    timeline never waits: between words it is filled with idle motion and silence, and after a stall
    it leaves units out but no words.

    All but the scheduler's own work happens on the thread of one event loop. A `with` block closes
    it at its end.
    """

    def __init__(
        self,
        avatar: Avatar,
        scheduler: Scheduler,
        *,
        clock: Clock | None = None,
        limits: SessionLimits | None = None,
        motion: MotionLevel | None = None,
    ) -> None:
        """Show `avatar`; `motion` is the idle motion of a still one, None that of the renderer."""
        self.avatar = avatar
        self.counts = SessionCounts()
        self.closed = False
        self.limits = limits or SessionLimits()
        self._scheduler = scheduler
        self._clock = clock or scheduler.clock  # must show the time of the scheduler's
        self._queue = scheduler.open()
        self._plan = FramePlan(avatar, self._queue, self.limits, self._hole, motion)
        self._speech = SpeechQueue(avatar, scheduler, self.limits, self._clock, self._changed)
        self._texts = TextQueue(self.limits.texts)
        self._events = EventDispatch()
        self._pictures = PictureTrack(avatar, self.counts, self._events.emit)
        self._refill_at = self.limits.ahead // 2  # units planned; at so few, more are
        self._fading: NDArray[np.int16] | None = None  # the sound after an interrupt
        self._origin: int | None = None  # when unit 0 was or would have been due
        self._opened_ms: int | None = None  # since when the first picture is awaited
        self._next = 0  # index of the next unit
        self._loop: asyncio.AbstractEventLoop | None = None  # of the pump
        self._pumps = 0  # how many were opened; only the last one works

    @property
    def look_ahead_ms(self) -> int:
        """The milliseconds after a frame that must be known before it can be drawn, at most."""
        return self._speech.look_ahead_ms

    @property
    def buffered_ms(self) -> int:
        """The speech of all utterances that was pushed and not given out yet."""
        return self._speech.buffered_ms

    @property
    def speaking(self) -> bool:
        """True from the first unit of an utterance to its end, also while it pauses."""
        return bool(self._speech.waiting) and self._speech.waiting[0].state == "speaking"

    @property
    def synthesizing(self) -> bool:
        """True while a text of `say` is being synthesized, or waits for it."""
        return self._texts.synthesizing

    def open_utterance(self, sample_rate: int) -> Utterance:
        """Open an utterance behind those that are open or still to be played.

        Its owner must end or cancel it: what was opened later waits for it. BufferFullError beyond
        `limits.utterances`, AudioError for an impossible rate, OptionError after `close`.
        """
        if self.closed:
            raise OptionError("this session is closed; open a new one to speak.")
        buffer = self._speech.open(sample_rate)
        self.counts.utterances += 1
        return Utterance(buffer, self._speech, self._cancel, self._fail)

    def say(self, text: str, synthesizer: Synthesizer, voice: str | None = None) -> Utterance:
        """Open an utterance for `text`, which is synthesized and pushed in the background.

        It takes its place at once; the texts of a session are synthesized one after the other.
        Nobody else pushes to it or ends it; when it is cancelled, so is the synthesis. An error of
        the synthesizer gives "failed", behind what was synthesized. OptionError for what it can't
        say, BufferFullError when `limits.texts` wait to be heard, otherwise as `open_utterance`.
        """
        asyncio.get_running_loop()  # RuntimeError before anything is opened
        synthesizer.check(text, voice)
        self._texts.check_room()
        utterance = self.open_utterance(synthesizer.sample_rate)
        self._texts.put(SpokenText(utterance, synthesizer, text, voice))
        return utterance

    async def room_to_open(self) -> None:
        """Return when another utterance may be opened, or when the session is closed."""
        await self._speech.room_to_open()

    def interrupt(self) -> int:
        """Cancel every utterance that is not finished: those still being pushed to as well.

        The sound fades out within 20 ms of the next unit, the mouth closes within three frames.
        Each gives an "interrupted" event. Returns how much of the one that was speaking was given
        out, ms; 0 when none was.
        """
        if not self._speech.waiting:
            return 0
        played_ms = self._speech.waiting[0].played_ms
        self.counts.interrupts += 1
        self._cancel(tuple(self._speech.waiting))
        return played_ms

    def add_listener(self, listener: EventListener) -> Callable[[], None]:
        """Call `listener` with every event, on the event loop's thread; returns a remover."""
        return self._events.add(listener)

    def take(self, now_ms: int) -> Unit | None:
        """The next unit if it is due at `now_ms` of the clock, else None."""
        if self.closed or (self._origin is None and not self._open_timeline(now_ms)):
            return None
        assert self._origin is not None
        behind = now_ms - self._origin - UNIT_MS * self._next
        if behind < 0:
            return None
        if behind >= UNIT_MS // 2:
            self.counts.late += 1
        if (skipped := behind // UNIT_MS) > self.limits.catch_up:
            self._next += skipped
            self.counts.skipped += skipped
            self._plan.skip(self._next)
        planned = self._plan.take(self._pictures.missed)
        index = self._next
        self._next += 1
        samples, speaking = SILENCE, False
        if planned is not None and (utterance := planned.utterance) is not None:
            speaking, starts = True, utterance.state == "queued"
            samples = utterance.read()
            self._events.unit_given(utterance, starts)
        elif self._fading is not None:
            samples, self._fading = self._fading, None
        picture, fresh = self._pictures.show(planned, index)
        self.counts.units += 1
        if self._speech.waiting or len(self._plan.units) <= self._refill_at:
            self._prepare(now_ms)
        return Unit(index, picture, samples, speaking, fresh)

    async def units(self) -> AsyncGenerator[Unit, None]:
        """The units as they become due, until `close`.

        After it was closed, another goes on where it stopped. Only the one opened last gives units.
        """
        self._pumps += 1
        pump, self._loop = self._pumps, asyncio.get_running_loop()
        self._stand_still()
        try:
            while not self.closed and self._pumps == pump:
                unit = self.take(self._clock.now_ms())
                if unit is not None:
                    yield unit
                elif self._opened_ms is not None:
                    deadline = self._opened_ms + FIRST_PICTURE_MS
                    await until_done(self._plan.units[0], self._clock, deadline)
                elif self._origin is not None:
                    await self._clock.sleep_until(self._origin + UNIT_MS * self._next)
        finally:
            if self._pumps == pump:
                self._loop = None
                self._stand_still()

    def close(self) -> None:
        """Stop, cancel every utterance, and leave nothing behind. May be called twice."""
        if not self.closed:
            self.closed = True
            self._cancel(tuple(self._speech.waiting))
            self._queue.close()
            self._events.close()

    async def wait_closed(self) -> None:
        """Return when the syntheses that were cancelled have let go, after `close`."""
        await self._texts.wait()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "speaking" if self.speaking else "idle"
        return f"Session({state}, {self.buffered_ms} ms buffered)"

    def _open_timeline(self, now_ms: int) -> bool:
        """Start the clock when the first picture is drawn, or has taken too long."""
        if self._opened_ms is None:
            self._opened_ms = now_ms
        latest = self._opened_ms + FIRST_PICTURE_MS
        if not self._plan.units:
            self._plan.fill(self._next, latest - UNIT_MS * self._next)
        if not self._plan.units[0].done and now_ms < latest:
            return False
        self._opened_ms, self._origin = None, now_ms - UNIT_MS * self._next
        self._plan.retime(self._next, self._origin)
        self._prepare(now_ms)
        return True

    def _stand_still(self) -> None:
        """Stop the timeline while no units are taken; speech waits."""
        self._plan.withdraw()
        self._opened_ms = self._origin = self._fading = None

    def _hole(self) -> None:
        self.counts.underruns += 1
        self._speech.hole()

    def _cancel(self, utterances: Sequence[UtteranceBuffer]) -> None:
        self._remove(utterances, "cancelled")

    def _fail(self, utterance: UtteranceBuffer, error: LipstreamError) -> None:
        """End an utterance whose rest won't come; see `Utterance.fail`."""
        if utterance.closed or utterance.finished:
            return
        utterance.error = error
        if utterance.pushed:
            self._speech.end(utterance)
        else:
            self._remove([utterance], "failed")

    def _remove(self, utterances: Sequence[UtteranceBuffer], state: UtteranceState) -> None:
        """Remove `utterances`, which are not finished, and report each as what it is now."""
        for utterance in utterances:
            self._silence(utterance)
            self._texts.drop(utterance.id)
        self._speech.remove(utterances, state)
        for utterance in utterances:
            self._events.finished(utterance)
        self._changed()

    def _silence(self, utterance: UtteranceBuffer) -> None:
        """Fade out and plan no more of `utterance`, if it plays."""
        if self._plan.speech is utterance:
            if self._plan.continues(utterance):
                self._fading = utterance.fade_out()
            self._plan.stop()

    def _changed(self) -> None:
        """Speech was pushed, ended or cancelled."""
        if not self.closed:
            self._prepare(self._clock.now_ms())

    def _prepare(self, now_ms: int) -> None:
        """Have speech encoded and units planned and drawn as far ahead as is allowed."""
        plan = self._plan
        for utterance in self._speech.pop_finished():
            if utterance.encoding_failed:
                self._silence(utterance)
                self._texts.drop(utterance.id)
                utterance.drop()
            elif plan.speech is utterance:
                plan.finish()
            self._events.finished(utterance)
        if self.closed:  # by a listener
            return
        self._speech.feed(self._queue, now_ms, self._wake if self._loop is not None else None)
        if self._origin is not None:
            speech = plan.speech if plan.flowing else self._speech.ready()
            if speech is not None:
                earliest = max(now_ms + self._scheduler.drawing_ms, self._speech.begins_at(speech))
                if self._fading is not None:  # the next unit fades out
                    earliest = max(earliest, self._origin + UNIT_MS * self._next + 1)
                plan.begin(speech, self._next, self._origin, earliest)
            plan.fill(self._next, self._origin)

    def _wake(self) -> None:
        """Called on the scheduler's thread when speech was encoded that is waited for."""
        if (loop := self._loop) is not None:
            call_on(loop, self._woken)

    def _woken(self) -> None:
        if not self.closed and self._origin is not None:
            self._prepare(self._clock.now_ms())
