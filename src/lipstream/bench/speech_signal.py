"""A synthetic signal with the rhythm of speech, for machines that have no recording."""

from __future__ import annotations

import numpy as np

from lipstream.media.image import Floats
from lipstream.timeline import SAMPLE_RATE


def speech(seconds: float, seed: int = 0) -> Floats:
    """(n,) float32 at 16 kHz: syllables of a gliding voice, with pauses; it contains no words."""
    random = np.random.default_rng(seed)
    count = round(seconds * SAMPLE_RATE)
    at = np.arange(count) / SAMPLE_RATE
    pitch = 120 * 2 ** (0.4 * np.sin(2 * np.pi * 0.7 * at + random.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    formants = np.array([500, 1500, 2500]) * random.uniform(0.8, 1.2, 3)
    voice = np.zeros(count)
    for harmonic in range(1, 30):
        near = np.exp(-(((120 * harmonic - formants) / 250) ** 2)).sum() + 0.05
        voice += near / harmonic**0.5 * np.sin(harmonic * phase)
    syllables = np.clip(np.sin(2 * np.pi * 4.2 * at + random.uniform(0, 6)) + 0.4, 0, None)
    phrases = np.clip(4 * np.sin(2 * np.pi * 0.3 * at) + 3, 0, 1)
    signal = voice * syllables * phrases + 0.01 * random.standard_normal(count)
    return np.asarray(0.3 * signal / np.abs(signal).max(), np.float32)
