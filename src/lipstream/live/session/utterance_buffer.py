"""The samples of one utterance from their push to their unit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lipstream.errors import LipstreamError
from lipstream.live.scheduler.jobs import EncodeJob
from lipstream.live.scheduler.session_queue import SessionQueue
from lipstream.live.scheduler.utterance_encoder import UtteranceEncoder
from lipstream.live.session.caption_track import CaptionTrack
from lipstream.live.session.types import UtteranceState
from lipstream.media.audio import AudioChunk
from lipstream.media.image import Floats
from lipstream.speech.mono_mixer import MonoMixer
from lipstream.timeline import SOUND_RATE, UNIT_MS, UNIT_SAMPLES

BLOCK_MS = 100  # pushed samples are kept in blocks, so that tiny chunks cost no more than large
PIECE_MS = 240  # at most so much is encoded at once
Sample = TypeVar("Sample", np.int16, np.float32)

_FADE = np.linspace(1, 0, SOUND_RATE * 20 // 1000, dtype=np.float32)


class UtteranceBuffer:
    """One utterance on its way: pushed -> encoded -> conditionings and sound -> given out.

    Bounded by `SpeechQueue`, which refuses more and has only a few frames encoded ahead.
    """

    def __init__(
        self, id: int, sample_rate: int, encoder: UtteranceEncoder, max_captions: int
    ) -> None:
        self.id, self.sample_rate = id, sample_rate
        self.captions = CaptionTrack(sample_rate, max_captions)
        self.state: UtteranceState = "queued"
        self.first_push_ms = 0  # when its first samples came
        self.pushed = 0  # samples at `sample_rate`
        self.closed = False  # nothing more will be pushed
        self.encoded = False  # all of it
        self.encoding_failed = False
        self.error: LipstreamError | None = None  # why its owner could not push the rest
        self.render_failed = False  # a frame of it could not be drawn, which was reported
        self.holes = 0  # times that it had to wait in its middle
        self.longest_chunk_ms = 0  # rounded down
        self.conditionings: deque[Floats] = deque()  # of frames encoded but not planned
        self.planned = 0  # frames
        self._encoder = encoder
        self._mixer = MonoMixer(sample_rate)
        self._blocks: deque[NDArray[np.float32]] = deque()
        self._free = 0  # samples of the last block
        self._fed = 0  # samples given to the encoder
        self._last_fed = False
        self._encode_jobs: deque[EncodeJob] = deque()
        self._sound: deque[NDArray[np.int16]] = deque()
        self._sound_samples = 0  # at 48 kHz, in all
        self._tail = 0  # units planned beyond the last frame
        self._units = 0  # given out
        self._played = 0  # samples at 48 kHz, padding not counted

    @property
    def finished(self) -> bool:
        """True when no more of it will be given out."""
        return self.state not in ("queued", "speaking")

    @property
    def played_ms(self) -> int:
        """The milliseconds that were given out, rounded down."""
        return self._played * 1000 // SOUND_RATE

    @property
    def buffered_ms(self) -> int:
        """The milliseconds pushed but not given out; 40 at least before the first unit."""
        if self.finished or not self.pushed:
            return 0
        left = self.pushed * 1000 // self.sample_rate - self.played_ms
        return left if self._units else max(left, UNIT_MS)

    @property
    def units(self) -> int:
        """The units that were given out."""
        return self._units

    @property
    def all_given_out(self) -> bool:
        """True when the last of its units was given out."""
        units = max(self.planned, self._sound_units)
        return self.encoded and not self.conditionings and self._units >= units

    def push(self, chunk: AudioChunk, now_ms: int) -> None:
        """Take the next sound, of any number of channels."""
        samples = self._mixer.mix(chunk)
        if not self.pushed:
            self.first_push_ms = now_ms
        self.longest_chunk_ms = max(self.longest_chunk_ms, len(samples) * 1000 // self.sample_rate)
        self.pushed += len(samples)
        while len(samples):
            if not self._free:
                self._free = self.sample_rate * BLOCK_MS // 1000
                self._blocks.append(np.empty(self._free, np.float32))
            part, samples = samples[: self._free], samples[self._free :]
            block = self._blocks[-1]
            start = len(block) - self._free
            block[start : start + len(part)] = part
            self._free -= len(part)

    def end(self) -> None:
        """Nothing more will be pushed; without any sound it is through."""
        self.closed = True
        if not self.pushed:
            self._last_fed = self.encoded = True

    def feed(
        self, queue: SessionQueue, ahead: int, now_ms: int, wake: Callable[[], None] | None
    ) -> bool:
        """Have the scheduler encode up to `ahead` frames beyond those planned; True: all of it."""
        until = (self.planned + ahead) * self.sample_rate * UNIT_MS // 1000
        while not self._last_fed:
            count = min(self.pushed, until) - self._fed
            count = max(min(count, self.sample_rate * PIECE_MS // 1000), 0)
            last = self.closed and self._fed + count == self.pushed
            if not (count or last):
                return False
            samples = _take(self._blocks, count, np.float32)
            due = now_ms + UNIT_MS * len(self.conditionings)
            job = EncodeJob(self._encoder, samples, last, due, wake)
            self._fed += count
            self._last_fed = last
            self._encode_jobs.append(job)
            queue.encode(job)
        return True

    def collect(self) -> None:
        """Take what was encoded since the last call."""
        while self._encode_jobs and self._encode_jobs[0].done:
            job = self._encode_jobs.popleft()
            if (result := job.result) is None:
                self.encoding_failed = True
                return
            self.conditionings.extend(result.conditionings)
            if len(result.sound):
                self._sound.append(result.sound)
                self._sound_samples += len(result.sound)
            self.encoded = job.last

    def ready(self, lead: int) -> bool:
        """True when enough, or all the rest, is encoded for it to begin or to go on."""
        if self.encoded:
            return bool(self.conditionings) or self._sound_units > self.planned + self._tail
        return len(self.conditionings) >= lead and self._has_sound(self.planned + lead)

    def next_conditioning(self) -> Floats | None:
        """The conditioning of the next frame to plan, once its sound is encoded too."""
        if not self.conditionings or not (self.encoded or self._has_sound(self.planned + 1)):
            return None
        self.planned += 1
        return self.conditionings.popleft()

    def next_tail(self) -> bool:
        """Plan another unit of sound beyond the last frame; False when there is none."""
        if self._sound_units <= self.planned + self._tail:
            return False
        self._tail += 1
        return True

    def put_back(self, conditioning: Floats | None) -> None:
        """Undo the planning of the last frame, or of a unit of the tail (None)."""
        if conditioning is None:
            self._tail -= 1
        else:
            self.conditionings.appendleft(conditioning)
            self.planned -= 1

    def read(self) -> NDArray[np.int16]:
        """The sound of the next unit, padded with silence at the end."""
        self._units += 1
        self.state = "speaking"
        sound = _take(self._sound, UNIT_SAMPLES, np.int16)
        self._played += len(sound)
        return np.pad(sound, (0, left)) if (left := UNIT_SAMPLES - len(sound)) else sound

    def fade_out(self) -> NDArray[np.int16]:
        """The sound of one more unit, silenced within 20 ms."""
        sound = _take(self._sound, len(_FADE), np.int16)
        faded = np.zeros(UNIT_SAMPLES, np.int16)
        faded[: len(sound)] = np.rint(sound * _FADE[: len(sound)])
        return faded

    def drop(self) -> None:
        """Forget all that waits, and have no more of it encoded."""
        for job in self._encode_jobs:
            job.cancelled = True
        for queue in (self._encode_jobs, self._blocks, self._sound, self.conditionings):
            queue.clear()
        self.captions.clear()
        self._last_fed = True

    @property
    def _sound_units(self) -> int:
        """Units of sound so far; the last may have to be padded."""
        return -(-self._sound_samples // UNIT_SAMPLES)

    def _has_sound(self, frames: int) -> bool:
        return self._sound_samples >= frames * UNIT_SAMPLES


def _take(blocks: deque[NDArray[Sample]], count: int, dtype: type[Sample]) -> NDArray[Sample]:
    """Take the first `count` samples of `blocks`, or all there are."""
    parts: list[NDArray[Sample]] = []
    while count and blocks:
        part, rest = blocks[0][:count], blocks[0][count:]
        if len(rest):
            blocks[0] = rest
        else:
            blocks.popleft()
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, dtype), *parts])
