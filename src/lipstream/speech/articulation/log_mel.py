"""The front end of the articulation network: causal log-mel bands, relative to the level.

A step is 20 ms. Its two windows end after 10 and 20 ms of it and reach back 25 ms. A level tracker
takes the loudness of the talker out of the bands and gives it as one number more per window.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log10

import numpy as np
from numpy.lib.stride_tricks import as_strided

from lipstream.media.image import Floats
from lipstream.timeline import FEATURE_STEP, SAMPLE_RATE

HOP = FEATURE_STEP // 2  # 160 samples: two windows per step
WINDOW = 400  # samples, 25 ms
FFT = 512
BANDS = 40
MIN_HZ, MAX_HZ = 60.0, 7800.0  # Hz
FEATURES = 2 * (BANDS + 1)  # two windows of 40 bands and a level

_TAIL = WINDOW - HOP  # samples before the step that its first window reaches back to
_FLOOR = 1e-7  # added to the band power before the logarithm; below 16 bit rounding noise
_LEVEL_START = -1.5  # log10 of band power: quiet speech
_LEVEL_LOWEST = -3.2  # the tracker never follows deeper, so that silence stays visible as silence
_ATTACK = 0.25  # share of the way to a louder window, per window
_DECAY = 0.004  # log10 per window: 4 dB per second
_BAND_LOWEST = -3.5  # normalised bands are cut here


def _mel(hertz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hertz / 700.0))


def _filterbank() -> Floats:
    """Triangles of unit area on the mel scale: (FFT / 2 + 1, BANDS)."""
    mels = np.linspace(_mel(MIN_HZ), _mel(MAX_HZ), BANDS + 2)
    edges = 700.0 * (10.0 ** (mels / 2595.0) - 1.0) / SAMPLE_RATE * FFT
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.arange(FFT // 2 + 1)
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    triangles = np.maximum(triangles, 0.0)
    triangles /= np.maximum(triangles.sum(axis=1, keepdims=True), 1e-3)
    return np.ascontiguousarray(triangles.T, dtype=np.float32)


_FILTERBANK = _filterbank()
_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)


@dataclass(slots=True)
class LogMel:
    """The log-mel front end of one stream: the last samples and the level of the talker."""

    tail: Floats = field(default_factory=lambda: np.zeros(_TAIL, np.float32))
    level: float = _LEVEL_START  # log10 of the loudest band, fast up, slow down

    def steps(self, samples: Floats) -> tuple[Floats, list[float]]:
        """Take the next n steps, (n * 320,) float32; return (n, 82) features and n loudnesses, dB.

        The loudness is the mean over the mel bands: mains hum, in one band only, weighs little.
        Digital silence is -70 dB, full-scale white noise about +20. Every step is computed as if it
        came alone, bit for bit.
        """
        count = len(samples) // FEATURE_STEP
        assert samples.shape == (count * FEATURE_STEP,), samples.shape
        recent = np.concatenate((self.tail, samples))
        self.tail = recent[-_TAIL:]
        windows = np.zeros((count, 2, FFT), np.float32)
        size = recent.itemsize
        strides = (size * FEATURE_STEP, size * HOP, size)
        overlapping = as_strided(recent, (count, 2, WINDOW), strides, writeable=False)
        np.multiply(overlapping, _HANN, out=windows[..., :WINDOW])
        spectrum = np.fft.rfft(windows)
        # A product for each step: one of all would sum in an order that depends on their count.
        power = np.matmul(spectrum.real**2 + spectrum.imag**2, _FILTERBANK)
        bands = np.log10(power + np.float32(_FLOOR))
        loudest = bands.max(axis=2).ravel().tolist()
        levels = np.array([self._track(one) for one in loudest], np.float32).reshape(count, 2, 1)
        features = np.empty((count, 2, BANDS + 1), np.float32)
        relative = (bands - levels) / np.float32(1.5) + np.float32(1.0)
        np.maximum(relative, np.float32(_BAND_LOWEST), out=features[..., :BANDS])
        features[..., BANDS:] = levels / 2 + np.float32(0.5)
        sums = power.reshape(count, 2 * BANDS).sum(axis=1).tolist()
        loudness = [10.0 * log10(one / (2 * BANDS) + _FLOOR) for one in sums]
        return features.reshape(count, FEATURES), loudness

    def _track(self, loudest: float) -> float:
        if loudest > self.level:
            self.level += (loudest - self.level) * _ATTACK
        else:
            self.level = max(self.level - _DECAY, _LEVEL_LOWEST)
        return self.level
