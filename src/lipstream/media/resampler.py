"""From any sample rate to the one that is needed, as the sound arrives.

Speech encoders take 16 kHz, viewers of a live session get 48 kHz.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import soxr

from lipstream.media.audio import checked_rate
from lipstream.media.image import Floats
from lipstream.timeline import SAMPLE_RATE


def resampling_ms(sample_rate: int, target: int = SAMPLE_RATE) -> int:
    """The longest delay of a `Resampler`, as measured, in ms."""
    if sample_rate == target:
        return 0
    if sample_rate < SAMPLE_RATE:
        return 120 if target == SAMPLE_RATE else 170
    return 40 if sample_rate <= 48_000 else 80


class Resampler:
    """Mono sound of one rate in, `target` Hz out, as it arrives.

    The output depends on the samples only, never on how they were cut into pushes: soxr's filter
    runs on blocks counted from the start of the stream. Sample k of the output is the sound at
    k / target s; the filter's delay shows only as output that comes later, by up to 40 ms for
    rates from 22.05 to 48 kHz, 80 ms above and 120 ms at 8 kHz (170 ms where 8 kHz become 48).
    """

    def __init__(self, sample_rate: int, target: int = SAMPLE_RATE) -> None:
        self.sample_rate = checked_rate(sample_rate)
        self.target = target
        self._reset()

    def push(self, samples: Floats) -> Floats:
        """(n,) float32 at `sample_rate` -> (m,) float32 at `target`; n and m may be 0."""
        if self._filter is None:
            return samples
        output: Floats = self._filter.resample_chunk(np.ascontiguousarray(samples, np.float32))
        self._given += len(output)
        self._remember(samples)
        return output

    def peek(self) -> Floats:
        """The result of `flush` without ending the stream; exact but for rounding."""
        if self._filter is None:
            return np.zeros(0, np.float32)
        again = self._new_filter()
        recent = np.concatenate([np.zeros(0, np.float32), *self._recent])
        output: Floats = again.resample_chunk(recent, last=True)
        return output[self._given - self._recent_start * self.target :]

    def flush(self) -> Floats:
        """The rest of the sound; the resampler is then as new.

        All output together is round(n * target / rate) samples long, give or take one.
        """
        if self._filter is None:
            return np.zeros(0, np.float32)
        tail: Floats = self._filter.resample_chunk(np.zeros(0, np.float32), last=True)
        self._reset()
        return tail

    def _reset(self) -> None:
        self._filter: soxr.ResampleStream | None = None
        if self.sample_rate != self.target:
            self._filter = self._new_filter()
        self._given = 0  # samples at `target`
        self._recent: deque[Floats] = deque()  # the last one to two seconds that came in
        self._recent_length = 0
        self._recent_start = 0  # seconds, where they begin: whole, so at an output sample

    def _remember(self, samples: Floats) -> None:
        self._recent.append(samples)
        self._recent_length += len(samples)
        old = self._recent_length // self.sample_rate - 1
        if old <= 0:
            return
        surplus = old * self.sample_rate
        self._recent_length -= surplus
        self._recent_start += old
        while surplus >= len(self._recent[0]):
            surplus -= len(self._recent.popleft())
        self._recent[0] = self._recent[0][surplus:]

    def _new_filter(self) -> soxr.ResampleStream:
        return soxr.ResampleStream(self.sample_rate, self.target, 1, quality="HQ")
