"""Mel frequency cepstral coefficients as SyncNet was taught with.

The definition is that of the package python_speech_features 0.6 with its defaults: 25 ms every
10 ms, pre-emphasis, no window, 26 triangular bands of 0 to 8 kHz, an orthonormal cosine transform,
liftering, and the log of the energy in place of the first coefficient. Samples count in 16-bit
units, so that the energies are those of the evaluation.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lipstream.media.image import Floats
from lipstream.score.curves import Curve

SAMPLE_RATE = 16_000  # Hz
COEFFICIENTS, BANDS = 13, 26
FRAME, STEP, FOURIER = 400, 160, 512  # samples
EMPHASIS = 0.97
LIFTER = 22
STEPS_PER_FRAME = 4  # of a video with 25 frames a second
STEPS_HEARD = 20  # at once, beside five frames
TINY = np.finfo(np.float64).eps  # in place of a 0 whose logarithm is taken


def mfcc(samples: Floats) -> Curve:
    """(n,) of 16 kHz in -1..1 -> (frames, 13), a hundred frames a second; the last is padded."""
    scaled = np.round(samples.astype(np.float64) * 2**15)
    emphasised = np.append(scaled[:1], scaled[1:] - EMPHASIS * scaled[:-1])
    count = 1 + max(-(-(len(scaled) - FRAME) // STEP), 0)
    padded = np.zeros((count - 1) * STEP + FRAME)
    padded[: len(emphasised)] = emphasised[: len(padded)]
    frames = sliding_window_view(padded, FRAME)[::STEP]
    power = np.square(np.abs(np.fft.rfft(frames, FOURIER))) / FOURIER
    energy = power.sum(axis=1)
    bands = power @ _filters().T
    cepstrum = np.log(np.where(bands == 0, TINY, bands)) @ _cosines().T
    cepstrum *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / LIFTER)
    cepstrum[:, 0] = np.log(np.where(energy == 0, TINY, energy))
    return np.asarray(cepstrum)


@cache
def _filters() -> Curve:
    """(26, 257) triangles, evenly spaced in mel, with their corners at whole bins."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    corners = np.floor((FOURIER + 1) * hertz / SAMPLE_RATE).astype(int)
    filters = np.zeros((BANDS, FOURIER // 2 + 1))
    for band, (low, middle, high) in enumerate(
        zip(corners, corners[1:], corners[2:], strict=False)
    ):
        rising, falling = np.arange(low, middle), np.arange(middle, high)
        filters[band, rising] = (rising - low) / (middle - low)
        filters[band, falling] = (high - falling) / (high - middle)
    return filters


@cache
def _cosines() -> Curve:
    """(13, 26) the first rows of the orthonormal cosine transform, type II."""
    orders, bands = np.arange(COEFFICIENTS)[:, None], np.arange(BANDS)
    rows = np.sqrt(2 / BANDS) * np.cos(np.pi * orders * (2 * bands + 1) / (2 * BANDS))
    rows[0] /= np.sqrt(2)
    return np.asarray(rows)
