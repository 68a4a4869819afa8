"""Very quiet speech is raised before it is encoded; speech of any usual level is left as it is.

An encoder was trained on levels that people record at. What is far below them, such as a microphone
whose gain is turned down, is noise to it. So the level of what stands out of the background is
followed, and where that is low, all of it is amplified. A background alone is never amplified:
neither steady noise nor hum stands out of itself.
"""

from __future__ import annotations

import copy
from collections import deque
from math import log10

import numpy as np
from numpy.lib.stride_tricks import as_strided

from lipstream.media.image import Floats
from lipstream.timeline import FEATURE_STEP

BLOCK = FEATURE_STEP  # 320 samples, 20 ms
TOGETHER = 50 * BLOCK  # samples whose levels are computed together; more would only take memory
MEAN = 81  # samples, 5 ms: their mean is taken out, and with it direct current and most of a hum
# Levels are in dB of full scale, of one block each.
SILENCE = -100.0  # the lowest level there is
BACKGROUND_BLOCKS = 25  # 0.5 s: the quietest block of so many is the background
MIN_BACKGROUND = -90.0  # below is what 16 bits do to digital silence
OUTSTANDING = 12.0  # dB above the background that count as speech
MIN_SPEECH = 17  # blocks, 0.34 s: a breath before a word is shorter
VARIETY = 6.0  # dB between the loudest of them and all but two: a noise that begins is more even
SPEECH_BLOCKS = 75  # 1.5 s of speech: their loudest block is its level
MIN_LEVEL = -40.0  # quieter speech is raised to it; its mean level is then some 8 dB lower
MAX_GAIN = 30.0  # dB
RISE = 6.0  # dB per block, at most, that the gain grows by
PEAK = 0.1  # of full scale: raised samples stay below, so that a loud sound is not made louder


class QuietSpeechGain:
    """The gain of one stream of 16 kHz. It is exactly 1 for speech of a usual level.

    The output depends on the samples only, never on how they were cut, and nothing is delayed: each
    block of 20 ms gets the gain that the blocks before it call for, and less where it is louder.

        speech whose loudest blocks are at -58 dB: gain 1 until 0.3 s of it were heard, then 18 dB
        speech at -20 dB follows: the gain falls to 1 within its first block
    """

    def __init__(self) -> None:
        self._recent = np.zeros(MEAN - 1, np.float32)  # samples, up to those of the open block
        self._filled = 0  # samples of the block that is not complete
        self._backgrounds: deque[float] = deque(maxlen=BACKGROUND_BLOCKS)
        self._levels: deque[float] = deque(maxlen=SPEECH_BLOCKS)
        self._speaks = False  # what stands out is as uneven as speech
        self._gain_db = 0.0
        self._peak = 0.0  # of the block so far

    def apply(self, samples: Floats) -> Floats:
        """(n,) float32, the next samples -> as many, raised."""
        raised = [samples[:0]]
        for start in range(0, len(samples), TOGETHER):
            raised += self._raised_blocks(samples[start : start + TOGETHER])
        return np.concatenate(raised)

    def _raised_blocks(self, samples: Floats) -> list[Floats]:
        """The parts of `samples` that lie in one block each, raised."""
        raised, levels = [], iter(self._levels_with(samples))
        while len(samples):
            part, samples = np.split(samples, [BLOCK - self._filled])
            raised.append(self._raised(part))
            self._filled += len(part)
            if self._filled == BLOCK:
                self._close_block(next(levels))
        return raised

    def fork(self) -> QuietSpeechGain:
        """A copy that goes on by itself."""
        return copy.deepcopy(self)

    def _raised(self, samples: Floats) -> Floats:
        if not self._gain_db:
            return samples
        peaks = np.maximum(np.maximum.accumulate(np.abs(samples)), np.float32(self._peak))
        self._peak = float(peaks[-1])
        limit = np.float32(PEAK) / np.maximum(peaks, np.float32(1e-9))
        gain = np.clip(limit, np.float32(1), np.float32(10 ** (self._gain_db / 20)))
        return np.asarray(samples * gain, np.float32)

    def _levels_with(self, samples: Floats) -> list[float]:
        """The levels of the blocks that `samples` complete."""
        sound = np.concatenate([self._recent, samples])
        count = (len(sound) - (MEAN - 1)) // BLOCK
        self._recent = sound[count * BLOCK :].copy()
        return _levels(sound, count)

    def _close_block(self, level: float) -> None:
        self._filled, self._peak = 0, 0.0
        self._backgrounds.append(level)
        if level > max(min(self._backgrounds), MIN_BACKGROUND) + OUTSTANDING:
            self._levels.append(level)
        if len(self._levels) >= MIN_SPEECH and not self._speaks:
            self._speaks = max(self._levels) - sorted(self._levels)[2] >= VARIETY
        wanted = 0.0
        if self._speaks:
            wanted = min(max(MIN_LEVEL - max(self._levels), 0.0), MAX_GAIN)
        self._gain_db = min(wanted, self._gain_db + RISE)


def _levels(samples: Floats, count: int) -> list[float]:
    """The levels of `count` blocks, which begin MEAN // 2 samples after the first.

    Each by itself, whatever comes before it, so that no level depends on how samples were cut.
    """
    size = samples.itemsize
    blocks = as_strided(samples, (count, BLOCK + MEAN - 1), (size * BLOCK, size), writeable=False)
    sums = np.zeros((count, BLOCK + MEAN))
    np.cumsum(blocks, axis=1, dtype=np.float64, out=sums[:, 1:])
    means = (sums[:, MEAN:] - sums[:, :-MEAN]) / MEAN
    power = np.square(blocks[:, MEAN // 2 : -(MEAN // 2)] - means).mean(axis=1)
    return [max(10 * log10(one + 1e-12), SILENCE) for one in power.tolist()]
