"""The utterances of a session, in the order in which they were opened, and their bounds.

An example, with a limit of 60 s: a WebSocket opens utterance 1 and pushes 5 s; a file is uploaded
as utterance 2. Utterance 1 is the first and plays; 2 may be pushed to, up to 60 s, but waits. The
WebSocket pushes 20 s more, which all go into 1, and ends it. When the 25 s are played, 1 is popped
and 2 is the first. Had 2 been cancelled meanwhile, or 1, the other would play as if it were alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from lipstream.avatar.avatar import Avatar
from lipstream.errors import AudioError, BufferFullError, OptionError
from lipstream.live.clock import Clock
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.scheduler.session_queue import SessionQueue
from lipstream.live.session.types import SessionLimits, UtteranceState
from lipstream.live.session.utterance_buffer import UtteranceBuffer
from lipstream.media.audio import AudioChunk
from lipstream.media.resampler import resampling_ms
from lipstream.timeline import SAMPLE_RATE, SOUND_RATE, UNIT_MS

BURST_MS = 400  # of speech in hand: it seems to come faster than it is spoken
JITTER_MS = 20  # for chunks that come late, and for the work itself
RESAMPLING_UNITS = 5  # that a resampler may hold back


class SpeechQueue:
    """The utterances that are not finished; the first of them plays.

    The first may have `limits.buffer_s` of speech waiting, and all behind it together as much
    again, so that those can never keep the first from going on. More is refused with
    BufferFullError, and so is an utterance beyond `limits.utterances`. Only a few frames ahead of
    playback are given to the scheduler, so that an interrupt wastes little.
    """

    def __init__(
        self,
        avatar: Avatar,
        scheduler: Scheduler,
        limits: SessionLimits,
        clock: Clock,
        on_change: Callable[[], None],
    ) -> None:
        self.waiting: deque[UtteranceBuffer] = deque()
        self.max_ms = int(limits.buffer_s * 1000)
        self._opened = 0  # utterances so far
        self._avatar, self._scheduler = avatar, scheduler
        self._limits, self._clock = limits, clock
        self._on_change = on_change  # called when more may be encoded or planned
        self._plan = scheduler.engine.backend.encoder.plan
        self._extra_lead = 0  # frames that holes have added to `limits.lead`
        self._waiters: list[asyncio.Future[None]] = []  # for room

    @property
    def look_ahead_ms(self) -> int:
        """The milliseconds after a frame that must be known before it can be drawn.

        Frames are encoded `step` at a time: the first of them waits for the last.
        """
        return self._plan.future * 1000 // SAMPLE_RATE + (self._plan.step - 1) * UNIT_MS

    @property
    def buffered_ms(self) -> int:
        """The speech that was pushed and not given out."""
        return sum(utterance.buffered_ms for utterance in self.waiting)

    def open(self, sample_rate: int) -> UtteranceBuffer:
        """Append an utterance; see `Session.open_utterance`."""
        if len(self.waiting) >= self._limits.utterances:
            raise BufferFullError(
                f"{len(self.waiting)} utterances of this session are not finished; wait for one to "
                "end, or cancel one."
            )
        encoder = self._scheduler.open_encoder(self._avatar, sample_rate)
        self._opened += 1
        utterance = UtteranceBuffer(self._opened, sample_rate, encoder, self._limits.captions)
        self.waiting.append(utterance)
        return utterance

    def push(self, utterance: UtteranceBuffer, chunk: AudioChunk) -> None:
        """Take the next sound of `utterance`; see `Utterance.push`."""
        if chunk.sample_rate != utterance.sample_rate:
            raise AudioError(
                f"utterance {utterance.id} was opened at {utterance.sample_rate} Hz; open another "
                f"one for sound at {chunk.sample_rate} Hz."
            )
        if utterance.state in ("cancelled", "failed") or not len(chunk):
            return
        if utterance.closed:
            raise OptionError(f"utterance {utterance.id} has ended; open another one.")
        length = len(chunk) * 1000 // chunk.sample_rate
        if not utterance.pushed:
            length = max(length, UNIT_MS)
        held = self._held_ms(utterance)
        if held + length > self.max_ms:
            raise BufferFullError(
                f"{held} ms of speech wait already and {length} ms more would pass the limit of "
                f"{self.max_ms} ms; push on when some of it was played."
            )
        utterance.push(chunk, self._clock.now_ms())
        self._on_change()

    def end(self, utterance: UtteranceBuffer) -> None:
        """Declare `utterance` complete; see `Utterance.end`."""
        if not (utterance.closed or utterance.finished):
            utterance.end()
            self._on_change()

    def remove(self, utterances: Sequence[UtteranceBuffer], state: UtteranceState) -> None:
        """Drop utterances that were cancelled, or of which nothing came; `state` says so."""
        for utterance in utterances:
            utterance.state = state
            utterance.drop()
            self.waiting.remove(utterance)
        self._wake_waiters()

    async def room(self, utterance: UtteranceBuffer, ms: int) -> None:
        """Return when `ms` more may be pushed to `utterance`; see `Utterance.room`."""
        ms = min(max(ms, UNIT_MS), self.max_ms)
        while not utterance.finished and self._held_ms(utterance) + ms > self.max_ms:
            await self._room_made()

    async def room_to_open(self) -> None:
        """Return when another utterance may be opened."""
        while len(self.waiting) >= self._limits.utterances:
            await self._room_made()

    def pop_finished(self) -> Iterator[UtteranceBuffer]:
        """Collect what was encoded, and pop the utterances that have ended or failed."""
        while self.waiting:
            first = self.waiting[0]
            first.collect()
            if not (first.encoding_failed or first.all_given_out):
                break
            self.waiting.popleft()
            first.state = "failed" if first.encoding_failed or first.error else "ended"
            self._extra_lead = max(self._extra_lead - 1, 0)
            yield first
        self._wake_waiters()

    def feed(self, queue: SessionQueue, now_ms: int, wake: Callable[[], None] | None) -> None:
        """Have the scheduler encode what comes next; it calls `wake` if that is waited for."""
        look_ahead = -(-self.look_ahead_ms // UNIT_MS) + RESAMPLING_UNITS + 1
        for utterance in islice(self.waiting, 2):
            lead = self._lead(utterance)
            ahead = max(self._limits.encoded_ahead, lead) + look_ahead
            awaited = len(utterance.conditionings) < lead
            if not utterance.feed(queue, ahead, now_ms, wake if awaited else None):
                break

    def hole(self) -> None:
        """Have more encoded before speech goes on: the first utterance had to pause."""
        self._extra_lead += 1
        if self.waiting:
            self.waiting[0].holes += 1

    def ready(self) -> UtteranceBuffer | None:
        """The first utterance, if enough of it is encoded to begin or to go on."""
        first = self.waiting[0] if self.waiting else None
        return first if first is not None and first.ready(self._lead(first)) else None

    def _lead(self, utterance: UtteranceBuffer) -> int:
        """The frames to be encoded before `utterance` begins or goes on.

        After a hole they must last until the next chunk: with chunks of 200 ms and one hole so far
        that is 200 // 40 + 2 + 1 = 8 frames.
        """
        lead = self._limits.lead
        if not utterance.closed and utterance.holes:
            lead = max(lead, utterance.longest_chunk_ms // UNIT_MS + 2) + self._extra_lead
        if self._plan.step > 1:
            lead = max(lead, self._plan.step + 1)
        return min(lead, self._limits.max_lead)

    def begins_at(self, utterance: UtteranceBuffer) -> int:
        """The time, in ms, from which `utterance` may begin without running out at once.

        Frame k needs its own sound, the look-ahead and what the resampler holds back. Speech that
        comes as fast as it is spoken therefore lasts, in chunks of any size, when it begins so much
        after the first of them; speech that comes faster need not wait.
        """
        if utterance.closed or utterance.holes or utterance.buffered_ms >= BURST_MS:
            return utterance.first_push_ms
        encoded = self.look_ahead_ms + resampling_ms(utterance.sample_rate)
        sound = resampling_ms(utterance.sample_rate, SOUND_RATE)
        reserve = JITTER_MS + self._scheduler.reserve_ms + self._extra_lead * UNIT_MS
        return utterance.first_push_ms + max(encoded, sound) + UNIT_MS + reserve

    def _held_ms(self, utterance: UtteranceBuffer) -> int:
        """The speech that shares the limit of `utterance`: its own, or all behind the first."""
        first = self.waiting[0].buffered_ms
        return first if utterance is self.waiting[0] else self.buffered_ms - first

    async def _room_made(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake_waiters(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
