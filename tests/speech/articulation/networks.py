"""A small random articulation network, and sounds for it."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from lipstream.speech.articulation.network import (
    ArticulationDimensions,
    ArticulationNetwork,
    assemble,
)
from lipstream.timeline import SAMPLE_RATE

SMALL = ArticulationDimensions(inner=5, hidden=6, look_ahead=2)


def small_arrays(seed: int = 0) -> dict[str, NDArray[np.float16]]:
    chance = np.random.default_rng(seed)
    arrays = {
        name: (0.3 * chance.standard_normal(shape)).astype(np.float16)
        for name, shape in SMALL.shapes.items()
    }
    return arrays | {"look_ahead": np.array(SMALL.look_ahead, np.float16)}


def small() -> ArticulationNetwork:
    return assemble(small_arrays(), "test")


@functools.cache
def syllables(seconds: float, level: float = 0.1, seed: int = 0) -> NDArray[np.float32]:
    """A buzz with formants that opens and closes three times a second, like a voice; read-only."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    chance = np.random.default_rng(seed)
    opening = np.clip(np.sin(2 * np.pi * 3 * times), 0, 1) ** 0.5
    pitch = 120 + 15 * np.sin(2 * np.pi * 0.7 * times)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    voice = np.zeros_like(times)
    for harmonic in range(1, 40):
        hertz = 120 * harmonic
        formants = sum(1 / (1 + ((hertz - f) / 90) ** 2) for f in (700, 1200, 2600))
        voice += formants * np.sin(harmonic * phase)
    voice += 0.02 * chance.standard_normal(len(times))
    voice *= opening
    voice *= level / np.sqrt(np.mean(voice**2))
    sound = np.asarray(voice + 1e-4 * chance.standard_normal(len(times)), np.float32)
    sound.flags.writeable = False
    return sound


def noise(seconds: float, level: float, pink: bool = False, seed: int = 0) -> NDArray[np.float32]:
    """White or pink noise of RMS `level`."""
    count = round(seconds * SAMPLE_RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    if pink:
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        spectrum[0] = 0
    sound = np.fft.irfft(spectrum, count)
    return np.asarray(sound * level / np.sqrt(np.mean(sound**2)), np.float32)
