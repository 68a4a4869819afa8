"""Sound as a value, and the road from any sample rate to the one that is wanted.

Speech encoders hear 16 kHz, listeners of a live session 48 kHz.
"""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lipstream.errors import AudioError, MissingError
from lipstream.timeline import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.video import Floats

try:
    import soxr
except ModuleNotFoundError:  # a bare GPU machine that measures: its sound needs no resampling
    soxr = None

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz
MOST_CHANNELS = 64
LOUDEST_FLOAT = 64.0  # full scale is 1; far above it the values are integers stored as floats

# Full scale and zero of the integer formats. Unsigned 8-bit is centred at 128, as in WAV files.
_INTEGER_SCALE = {"int8": (128.0, 0), "uint8": (128.0, 128), "int16": (32768.0, 0)}
_LONG_SCALE = 2147483648.0


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """A stretch of sound. Made by `from_pcm`, which checks and scales."""

    samples: Floats  # (n, channels) float32 in -1..1
    sample_rate: int  # Hz

    @classmethod
    def from_pcm(cls, samples: NDArray[Any], sample_rate: int) -> AudioChunk:
        """Take PCM as it comes: (n,) or (n, channels); int8, uint8, int16, int32 or float.

        Floats are taken as -1..1 and clipped there. Raises AudioError for NaN or infinity, for
        other shapes and types, and for a rate outside 1,000..768,000 Hz.
        """
        rate = checked_rate(sample_rate)
        if samples.ndim == 1:
            samples = samples[:, np.newaxis]
        if samples.ndim != 2 or not 1 <= samples.shape[1] <= MOST_CHANNELS:
            raise AudioError(
                f"audio must have the shape (samples,) or (samples, channels), not {samples.shape}."
            )
        return cls(_scaled(samples), rate)

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    def __len__(self) -> int:
        """Samples per channel."""
        return len(self.samples)

    def mono(self) -> Floats:
        """(n,) float32: the mean of the channels."""
        if self.channels == 1:
            return self.samples[:, 0]
        return np.asarray(self.samples.mean(axis=1), np.float32)


def checked_rate(sample_rate: int) -> int:
    """`sample_rate` as an int; AudioError when no sound has such a rate."""
    with contextlib.suppress(TypeError, ValueError, OverflowError):  # None, NaN and infinity
        if int(sample_rate) == sample_rate and LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
            return int(sample_rate)
    raise AudioError(
        f"a sample rate of {sample_rate!r} Hz cannot be used; "
        f"give a whole number from {LOWEST_RATE} to {HIGHEST_RATE}."
    )


def _scaled(samples: NDArray[Any]) -> Floats:
    name = samples.dtype.name
    if name in _INTEGER_SCALE:
        scale, zero = _INTEGER_SCALE[name]
        return (samples.astype(np.float32) - np.float32(zero)) / np.float32(scale)
    if name == "int32":
        return (samples / _LONG_SCALE).astype(np.float32)
    if name in ("float32", "float64"):
        return _clipped(samples)
    raise AudioError(
        f"audio of type {name} cannot be used; give int8, uint8, int16, int32, float32 or float64."
    )


def _clipped(samples: NDArray[Any]) -> Floats:
    """Float samples in -1..1. Decoders overshoot full scale a little, which is no error."""
    peak = np.abs(samples).max(initial=0.0)  # NaN and infinity survive the maximum
    if not np.isfinite(peak):
        raise AudioError("the audio holds NaN or infinite samples; export it again.")
    if peak > LOUDEST_FLOAT:
        raise AudioError(
            f"float audio must lie in -1..1 but reaches {peak:g}; "
            "divide 16-bit values by 32768 or give them as int16."
        )
    clipped: Floats = np.clip(samples, -1.0, 1.0).astype(np.float32, copy=False)
    return clipped


def resampling_ms(sample_rate: int, target: int = SAMPLE_RATE) -> int:
    """How much later than its input the output of a `Resampler` may come, at most; measured."""
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
        """What `flush` would give now, without ending the stream; exact but for rounding."""
        if self._filter is None:
            return np.zeros(0, np.float32)
        again = self._new_filter()
        assert again is not None
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
        self._filter = self._new_filter()
        self._given = 0  # samples at `target`
        self._recent: deque[Floats] = deque()  # the last one to two seconds that came in
        self._recent_length = 0
        self._recent_start = 0  # seconds, where they begin: whole, so at an output sample

    def _remember(self, samples: Floats) -> None:
        self._recent.append(samples)
        self._recent_length += len(samples)
        old = self._recent_length // self.sample_rate - 1
        if old > 0:
            self._forget(old * self.sample_rate)
            self._recent_start += old

    def _forget(self, samples: int) -> None:
        self._recent_length -= samples
        while samples >= len(self._recent[0]):
            samples -= len(self._recent.popleft())
        self._recent[0] = self._recent[0][samples:]

    def _new_filter(self) -> soxr.ResampleStream | None:
        if self.sample_rate == self.target:
            return None
        if soxr is None:
            raise MissingError("other rates of sound need soxr; run `pip install soxr`.")
        return soxr.ResampleStream(self.sample_rate, self.target, 1, quality="HQ")
