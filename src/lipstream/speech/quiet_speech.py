"""Very quiet speech is raised before it is encoded; speech of any usual level is left as it is.

An encoder was trained on levels that people record at. What is far below them, such as a microphone
whose gain is turned down, is noise to it. So the level of what stands out of the background is
followed, and where that is low, all of it is amplified. A background alone is never amplified:
neither steady noise nor hum stands out of itself.
"""

from __future__ import annotations

import copy
from collections import deque

import numpy as np

from lipstream.media.image import Floats
from lipstream.timeline import FEATURE_STEP

BLOCK = FEATURE_STEP  # 320 samples, 20 ms
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
        self._open: list[Floats] = []  # samples of the block that is not complete
        self._filled = 0
        self._tail = np.zeros(MEAN - 1, np.float32)  # samples before it
        self._backgrounds: deque[float] = deque(maxlen=BACKGROUND_BLOCKS)
        self._levels: deque[float] = deque(maxlen=SPEECH_BLOCKS)
        self._speaks = False  # what stands out is as uneven as speech
        self._gain_db = 0.0
        self._peak = 0.0  # of the block so far

    def apply(self, samples: Floats) -> Floats:
        """(n,) float32, the next samples -> as many, raised."""
        raised = []
        while len(samples):
            part, samples = np.split(samples, [BLOCK - self._filled])
            raised.append(self._raised(part))
            self._open.append(part)
            self._filled += len(part)
            if self._filled == BLOCK:
                self._close_block()
        return np.concatenate([samples, *raised])

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

    def _close_block(self) -> None:
        recent = np.concatenate([self._tail, *self._open])
        self._open, self._filled, self._tail, self._peak = [], 0, recent[-(MEAN - 1) :], 0.0
        level = _level(recent)
        self._backgrounds.append(level)
        if level > max(min(self._backgrounds), MIN_BACKGROUND) + OUTSTANDING:
            self._levels.append(level)
        if len(self._levels) >= MIN_SPEECH and not self._speaks:
            self._speaks = max(self._levels) - sorted(self._levels)[2] >= VARIETY
        wanted = 0.0
        if self._speaks:
            wanted = min(max(MIN_LEVEL - max(self._levels), 0.0), MAX_GAIN)
        self._gain_db = min(wanted, self._gain_db + RISE)


def _level(samples: Floats) -> float:
    """The level of (n,) samples, of the first and last 40 only as neighbours of the others."""
    means = np.convolve(samples, np.full(MEAN, 1 / MEAN), "valid")
    middle = samples[MEAN // 2 : -(MEAN // 2)]
    power = float(np.square(middle - means).mean())
    return max(10 * float(np.log10(power + 1e-12)), SILENCE)
