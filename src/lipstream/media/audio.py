"""Sound as a value: checked and scaled samples with their rate."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipstream.errors import AudioError
from lipstream.media.image import Floats

MIN_RATE, MAX_RATE = 1_000, 768_000  # Hz
MAX_CHANNELS = 64
MAX_FLOAT = 64.0  # full scale is 1; far above it the values are integers stored as floats

# Full scale and zero of the integer formats. Unsigned 8-bit is centred at 128, as in WAV files.
_INTEGER_SCALE = {
    "int8": (2.0**7, 0),
    "uint8": (2.0**7, 128),
    "int16": (2.0**15, 0),
    "int32": (2.0**31, 0),
}


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class AudioChunk:
    """A stretch of sound, checked and scaled when it is made, in memory of its own.

    Takes PCM as it comes: (n,) for mono or (n, channels); int8, uint8, int16, int32, float32 or
    float64. Floats count as -1..1 and are clipped there. `AudioError` for NaN or infinity, for
    other shapes and types, and for a rate outside 1,000..768,000 Hz.

        AudioChunk(np.array([0, 16384], np.int16), 16_000).samples    # [[0.0], [0.5]]
    """

    samples: Floats  # (n, channels) float32 in -1..1
    sample_rate: int  # Hz

    def __init__(self, samples: ArrayLike, sample_rate: float) -> None:
        try:
            pcm = np.asarray(samples)
        except ValueError:
            raise AudioError("audio must be an array; its channels differ in length.") from None
        if pcm.ndim == 1:
            pcm = pcm[:, np.newaxis]
        if pcm.ndim != 2 or not 1 <= pcm.shape[1] <= MAX_CHANNELS:
            raise AudioError(
                f"audio must have the shape (samples,) or (samples, channels), not {pcm.shape}."
            )
        object.__setattr__(self, "sample_rate", checked_rate(sample_rate))
        object.__setattr__(self, "samples", _scaled(pcm))

    def __repr__(self) -> str:
        return f"AudioChunk({len(self)} samples x {self.channels}, {self.sample_rate} Hz)"

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


def checked_rate(sample_rate: float) -> int:
    """`sample_rate` as an int; AudioError when no sound has such a rate."""
    with contextlib.suppress(TypeError, ValueError, OverflowError):  # None, NaN and infinity
        if int(sample_rate) == sample_rate and MIN_RATE <= sample_rate <= MAX_RATE:
            return int(sample_rate)
    raise AudioError(
        f"a sample rate of {sample_rate!r} Hz cannot be used; "
        f"give a whole number from {MIN_RATE} to {MAX_RATE}."
    )


def _scaled(samples: NDArray[Any]) -> Floats:
    name = samples.dtype.name
    if name in _INTEGER_SCALE:
        scale, zero = _INTEGER_SCALE[name]
        return (samples.astype(np.float32) - np.float32(zero)) / np.float32(scale)
    if name not in ("float32", "float64"):
        raise AudioError(
            f"audio of type {name} cannot be used; "
            "give int8, uint8, int16, int32, float32 or float64."
        )
    peak = np.abs(samples).max(initial=0.0)  # NaN and infinity survive the maximum
    if not np.isfinite(peak):
        raise AudioError("the audio holds NaN or infinite samples; export it again.")
    if peak > MAX_FLOAT:
        raise AudioError(
            f"float audio must lie in -1..1 but reaches {peak:g}; "
            "divide 16-bit values by 32768 or give them as int16."
        )
    # Decoders overshoot full scale a little, which is no error.
    return np.asarray(np.clip(samples, -1.0, 1.0), np.float32)
