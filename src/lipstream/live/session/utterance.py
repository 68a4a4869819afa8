"""One utterance: what was pushed, what was heard of it, and what was played."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lipstream.errors import AudioError
from lipstream.live.scheduler import EncodeJob, SessionQueue, UtteranceEncoder
from lipstream.timeline import SOUND_RATE, UNIT_MS, UNIT_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.media.image import Floats

BLOCK_MS = 100  # pushed samples are kept in blocks, so that tiny chunks cost no more than large
PIECE_MS = 240  # at most so much is heard at once
_FADE = np.linspace(1, 0, SOUND_RATE * 20 // 1000, dtype=np.float32)


class Utterance:
    """SpeechQueue on its way: waiting -> being heard -> conditionings and sound -> played.

    Bounded by the session, which refuses more than it may hold and lets only a few frames ahead of
    playback be heard.
    """

    def __init__(
        self, number: int, hearing: UtteranceEncoder, sample_rate: int, now_ms: int
    ) -> None:
        self.number = number
        self.rate = sample_rate
        self.opened_ms = now_ms  # when its first samples came
        self.ended = False  # nothing more will be pushed
        self.complete = False  # all of it was heard
        self.failed_to_hear = False
        self.failed_to_draw = False
        self.holes = 0  # times that it had to wait in its middle
        self.longest_chunk_ms = 0  # rounded down
        self.conditionings: deque[Floats] = deque()  # conditionings of frames heard but not planned
        self.planned = 0  # frames
        self.played = 0  # samples at 48 kHz, padding not counted
        self._units = 0  # given out
        self._hearing = hearing
        self._blocks: deque[NDArray[np.float32]] = deque()
        self._room = 0  # samples free in the last block
        self._first = 0  # samples of the first block that were fed
        self._pushed = 0  # samples at `rate`
        self._fed = 0
        self._finishing = False  # the last piece is being heard
        self._encode_jobs: deque[EncodeJob] = deque()
        self._sound: deque[NDArray[np.int16]] = deque()
        self._heard = 0  # samples at 48 kHz
        self._tail = 0  # units planned beyond the last frame

    @property
    def played_ms(self) -> int:
        """How much was given out, rounded down."""
        return self.played * 1000 // SOUND_RATE

    @property
    def waiting_ms(self) -> int:
        """How much was pushed but not given out; an utterance not begun counts a unit at least."""
        left = self._pushed * 1000 // self.rate - self.played_ms
        return left if self.started else max(left, UNIT_MS)

    @property
    def started(self) -> bool:
        """Some of it was given out."""
        return self._units > 0

    @property
    def over(self) -> bool:
        """All was given out."""
        units = max(self.planned, -(-self._heard // UNIT_SAMPLES))
        return self.complete and not self.conditionings and self._units >= units

    @property
    def unfed(self) -> bool:
        """Some of it has not been given to the scheduler."""
        return self._fed < self._pushed or not self._finishing

    def push(self, samples: Floats) -> None:
        """Take (n,) mono samples."""
        self.longest_chunk_ms = max(self.longest_chunk_ms, len(samples) * 1000 // self.rate)
        self._pushed += len(samples)
        while len(samples):
            if not self._room:
                self._room = self.rate * BLOCK_MS // 1000
                self._blocks.append(np.empty(self._room, np.float32))
            part, samples = samples[: self._room], samples[self._room :]
            block = self._blocks[-1]
            start = len(block) - self._room
            block[start : start + len(part)] = part
            self._room -= len(part)

    def feed(
        self, queue: SessionQueue, ahead: int, now_ms: int, wake: Callable[[], None] | None
    ) -> None:
        """Let the scheduler hear up to `ahead` frames beyond those planned."""
        until = (self.planned + ahead) * self.rate * UNIT_MS // 1000
        while not self._finishing:
            count = min(self._pushed, until) - self._fed
            count = min(count, self.rate * PIECE_MS // 1000)
            last = self.ended and self._fed + max(count, 0) == self._pushed
            if count <= 0 and not last:
                return
            due = now_ms + UNIT_MS * len(self.conditionings)
            job = EncodeJob(self._hearing, self._next(max(count, 0)), last, due, wake)
            self._finishing = last
            self._encode_jobs.append(job)
            queue.encode(job)

    def collect(self) -> None:
        """Take what was heard since the last call."""
        while self._encode_jobs and self._encode_jobs[0].done:
            job = self._encode_jobs.popleft()
            if job.result is None:
                self.failed_to_hear = True
                self.forget()
                return
            self.conditionings.extend(job.result.conditionings)
            if len(job.result.sound):
                self._sound.append(job.result.sound)
                self._heard += len(job.result.sound)
            self.complete = job.last

    def ready(self, lead: int) -> bool:
        """Enough was heard to begin or to go on, or the rest of it."""
        if self.complete:
            return (
                bool(self.conditionings) or self._heard > (self.planned + self._tail) * UNIT_SAMPLES
            )
        return len(self.conditionings) >= lead and self._sounds(self.planned + lead)

    def next_conditioning(self) -> Floats | None:
        """The conditioning of the next frame to plan, once its sound is there too."""
        if not self.conditionings or not (self.complete or self._sounds(self.planned + 1)):
            return None
        self.planned += 1
        return self.conditionings.popleft()

    def next_tail(self) -> bool:
        """Whether there is another unit of sound beyond the last frame; it counts as planned."""
        if self._heard <= (self.planned + self._tail) * UNIT_SAMPLES:
            return False
        self._tail += 1
        return True

    def put_back(self, conditioning: Floats | None) -> None:
        """A frame planned last, or a unit of the tail (None), will not be shown as planned."""
        if conditioning is None:
            self._tail -= 1
        else:
            self.conditionings.appendleft(conditioning)
            self.planned -= 1

    def read(self) -> NDArray[np.int16]:
        """The sound of the next unit, padded with silence at the end."""
        self._units += 1
        sound = self._take(UNIT_SAMPLES)
        self.played += len(sound)
        if len(sound) == UNIT_SAMPLES:
            return sound
        return np.pad(sound, (0, UNIT_SAMPLES - len(sound)))

    def fade_out(self) -> NDArray[np.int16]:
        """The sound of one more unit, silenced within 20 ms."""
        sound = self._take(len(_FADE))
        faded = np.zeros(UNIT_SAMPLES, np.int16)
        faded[: len(sound)] = np.rint(sound * _FADE[: len(sound)])
        return faded

    def forget(self) -> None:
        """Stop hearing it."""
        for job in self._encode_jobs:
            job.cancelled = True
        self._encode_jobs.clear()
        self._blocks.clear()
        self._finishing = True

    def _sounds(self, frames: int) -> bool:
        return self._heard >= frames * UNIT_SAMPLES

    def _next(self, count: int) -> Floats:
        """The next `count` samples that were pushed."""
        self._fed += count
        parts = []
        while count:
            block = self._blocks[0]
            part = block[self._first : self._first + count]
            parts.append(part)
            count -= len(part)
            self._first += len(part)
            if self._first == len(block):
                self._blocks.popleft()
                self._first = 0
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def _take(self, count: int) -> NDArray[np.int16]:
        """Up to `count` of the samples that were heard."""
        if self._sound and len(self._sound[0]) >= count:
            first = self._sound[0]
            if len(first) == count:
                self._sound.popleft()
            else:
                self._sound[0] = first[count:]
            return first[:count]
        parts = [np.zeros(0, np.int16)]
        while count and self._sound:
            part = self._sound.popleft()
            if len(part) > count:
                self._sound.appendleft(part[count:])
            parts.append(part[:count])
            count -= len(parts[-1])
        return np.concatenate(parts)


def check_rate(utterance: Utterance, sample_rate: int) -> None:
    """AudioError when a chunk has another rate than the utterance that it continues."""
    if utterance.rate != sample_rate:
        raise AudioError(
            f"the sample rate changed from {utterance.rate} to {sample_rate} Hz within one "
            "utterance; end it first."
        )
