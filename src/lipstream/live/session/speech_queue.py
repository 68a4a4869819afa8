"""What a session was given to say: utterances in their order, bounded, heard ahead of time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from lipstream.avatar.avatar import Avatar
from lipstream.errors import BufferFullError
from lipstream.live.scheduler import Scheduler, SessionQueue
from lipstream.live.session.types import SessionLimits
from lipstream.live.session.utterance import Utterance, check_rate
from lipstream.media.audio import AudioChunk
from lipstream.media.resampler import resampling_ms
from lipstream.timeline import SAMPLE_RATE, SOUND_RATE, UNIT_MS

BURST_MS = 400  # of speech in hand: it seems to come faster than it is spoken
SPARE_MS = 20  # for chunks that come late, and for job
RESAMPLING_UNITS = 5  # that a resampler may hold back


class SpeechQueue:
    """Utterances that are not over; the first of them plays.

    Holds `limits.buffer_s` of speech and refuses more. Only a few frames ahead of playback are
    given to the scheduler, so that an interrupt wastes little.
    """

    def __init__(
        self, avatar: Avatar, scheduler: Scheduler, queue: SessionQueue, limits: SessionLimits
    ) -> None:
        self.waiting: deque[Utterance] = deque()
        self.begun = 0  # utterances so far
        self.max_ms = int(limits.buffer_s * 1000)
        self._avatar = avatar
        self._scheduler = scheduler
        self._queue = queue
        self._limits = limits
        self._plan = scheduler.engine.backend.encoder.plan
        self._open: Utterance | None = None  # the last one, as long as it has not ended
        self._later_ms = 0  # in all utterances but the first
        self._caution = 0  # frames that holes have added to `limits.lead`
        self._waiters: list[asyncio.Future[None]] = []  # for room

    @property
    def look_ahead_ms(self) -> int:
        """How much of what follows a frame must be known before it can be drawn.

        Frames are heard `step` at a time: the first of them waits for the last.
        """
        return self._plan.future * 1000 // SAMPLE_RATE + (self._plan.step - 1) * UNIT_MS

    @property
    def buffered_ms(self) -> int:
        """What was pushed and not given out."""
        return self.waiting[0].waiting_ms + self._later_ms if self.waiting else 0

    def push(self, chunk: AudioChunk, now_ms: int) -> None:
        """Take the next piece; see `Session.push`."""
        if self._open is not None:
            check_rate(self._open, chunk.sample_rate)
        if not len(chunk):
            return
        length = len(chunk) * 1000 // chunk.sample_rate
        if self._open is None:
            length = max(length, UNIT_MS)
        if self.buffered_ms + length > self.max_ms:
            raise BufferFullError(
                f"{self.buffered_ms} ms of speech wait already and {length} ms more would pass the "
                f"limit of {self.max_ms} ms; push on when some of it was played."
            )
        if self._open is None:
            hearing = self._scheduler.open_encoder(self._avatar, chunk.sample_rate)
            self.begun += 1
            self._open = Utterance(self.begun, hearing, chunk.sample_rate, now_ms)
            self.waiting.append(self._open)
            before = 0
        else:
            before = self._open.waiting_ms
        self._open.push(chunk.mono())
        if self._open is not self.waiting[0]:
            self._later_ms += self._open.waiting_ms - before

    def end(self) -> bool:
        """Nothing more will be pushed of the open utterance; whether there was one."""
        if self._open is None:
            return False
        self._open.ended = True
        self._open = None
        return True

    async def room(self, ms: int) -> None:
        """Return when `ms` more may be pushed, or all that can wait at once."""
        while self.buffered_ms + min(ms, self.max_ms) > self.max_ms:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def clear(self) -> None:
        """Forget everything."""
        for utterance in self.waiting:
            utterance.forget()
        self.waiting.clear()
        self._open = None
        self._later_ms = 0
        self._make_room()

    def over(self) -> Iterator[Utterance]:
        """Take what was heard; gives the utterances that are done with, said or failed."""
        while self.waiting:
            first = self.waiting[0]
            first.collect()
            if not (first.failed_to_hear or first.over):
                break
            self.waiting.popleft()
            if self._open is first:
                self._open = None
            if self.waiting:
                self._later_ms -= self.waiting[0].waiting_ms
            self._caution = max(self._caution - 1, 0)
            yield first
        if self._waiters:
            self._make_room()

    def feed(self, now_ms: int, wake: Callable[[], None] | None) -> None:
        """Let the scheduler hear what comes next; it calls `wake` if somebody waits for that."""
        for utterance in islice(self.waiting, 2):
            lead = self.lead(utterance)
            utterance.feed(
                self._queue,
                self._ahead(lead),
                now_ms,
                wake if len(utterance.conditionings) < lead else None,
            )
            if utterance.unfed:
                break

    def hole(self) -> None:
        """The first utterance ran out, or could not be drawn: be more careful."""
        self._caution += 1
        if self.waiting:
            self.waiting[0].holes += 1

    def ready(self) -> Utterance | None:
        """The first utterance, if enough of it was heard to begin or to go on."""
        if self.waiting and self.waiting[0].ready(self.lead(self.waiting[0])):
            return self.waiting[0]
        return None

    def lead(self, utterance: Utterance) -> int:
        """Frames to be heard before `utterance` begins or goes on.

        After a hole they must last until the next chunk.
        """
        lead = self._limits.lead
        if not utterance.ended and utterance.holes:
            lead = max(lead, utterance.longest_chunk_ms // UNIT_MS + 2) + self._caution
        if self._plan.step > 1:
            lead = max(lead, self._plan.step + 1)
        return min(lead, self._limits.max_lead)

    def begins_at(self, utterance: Utterance) -> int:
        """The time, in ms, from which `utterance` may begin without running out at once.

        Frame k needs its own sound, the look-ahead and what the resampler holds back. Speech that
        comes as fast as it is spoken therefore lasts, in chunks of any size, when it begins so much
        after the first of them; speech that comes faster need not wait.
        """
        if utterance.ended or utterance.holes or utterance.waiting_ms >= BURST_MS:
            return utterance.opened_ms
        heard = self.look_ahead_ms + resampling_ms(utterance.rate)
        needed = max(heard, resampling_ms(utterance.rate, SOUND_RATE)) + UNIT_MS
        spare = SPARE_MS + self._scheduler.reserve_ms + self._caution * UNIT_MS
        return utterance.opened_ms + needed + spare

    def _ahead(self, lead: int) -> int:
        """Frames whose sound the scheduler may have beyond those planned."""
        look_ahead = -(-self.look_ahead_ms // UNIT_MS) + RESAMPLING_UNITS + 1
        return max(self._limits.heard_ahead, lead) + look_ahead

    def _make_room(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
