"""One utterance of live speech: its sound for the listener, its segments for the speech encoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipstream.media.audio import AudioChunk
from lipstream.media.image import Floats
from lipstream.media.resampler import Resampler
from lipstream.stream import LipSyncStream, Segment
from lipstream.timeline import SOUND_RATE

_FULL_SCALE = np.float32(32768)


@dataclass(frozen=True, slots=True, eq=False)
class EncodeResult:
    """The output for one piece of an utterance."""

    sound: NDArray[np.int16]  # (n,) 48 kHz mono: the original, resampled once
    conditionings: tuple[Floats, ...]  # one per frame whose look-ahead is complete now


class UtteranceEncoder:
    """The state of one utterance between its pieces. Used by the scheduler's thread alone.

    Sound and segments depend on the samples only, never on how they were cut.
    """

    def __init__(self, stream: LipSyncStream, sample_rate: int) -> None:
        self._stream = stream
        self._rate = sample_rate
        self._resampler = Resampler(sample_rate, SOUND_RATE)

    def encode(self, samples: Floats, last: bool) -> tuple[NDArray[np.int16], list[Segment]]:
        """Take the next (n,) mono samples, n may be 0; `last` ends the utterance."""
        sound, segments = self._resampler.push(samples), []
        if len(samples):
            segments = self._stream.push(AudioChunk(samples[:, np.newaxis], self._rate))
        if last:
            sound = np.concatenate([sound, self._resampler.flush()])
            segments += self._stream.end()
        return pcm16(sound), segments


def pcm16(sound: Floats) -> NDArray[np.int16]:
    """Floats in -1..1 as 16-bit PCM; what was 16 bits wide at 48 kHz comes back as it was."""
    return np.asarray(np.clip(np.rint(sound * _FULL_SCALE), -32768, 32767), np.int16)
