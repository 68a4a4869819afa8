"""Clean speech -> the speech of a microphone: rooms, lines, codecs, noises, levels.

Nothing here moves the sound in time by more than 2 ms, so the phoneme times stay true.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

from lipstream.timeline import SAMPLE_RATE

Sound = NDArray[np.float32]
Wave = NDArray[np.floating[Any]]  # on its way
Generator = np.random.Generator


def recorded(clean: Sound, chance: Generator, babble: list[Sound]) -> Sound:
    """A random recording of `clean`; both (samples,) at 16 kHz. `babble` are others' voices."""
    sound = _equalised(clean, chance)
    if chance.random() < 0.15:
        sound = _compressed(sound, chance)
    if chance.random() < 0.55:
        sound = _in_a_room(sound, chance)
    snr = chance.uniform(3, 35) if chance.random() < 0.6 else chance.uniform(35, 60)
    sound = sound / _rms(sound) + noise(len(sound), chance, babble) * 10 ** (-snr / 20)
    kind = chance.random()
    if kind < 0.12:
        sound = _band(sound, chance.uniform(200, 350), chance.uniform(3000, 3800), chance)
    elif kind < 0.24:
        sound = _band(sound, chance.uniform(60, 180), chance.uniform(3800, 7000), chance)
    elif kind < 0.32:
        sound = _coded(sound, chance)
    elif kind < 0.40:
        sound = _old_recording(sound, chance)
    level = chance.uniform(-44, -14)
    return _clipped(sound / _rms(sound) * 10 ** (level / 20))


def noise(count: int, chance: Generator, babble: list[Sound]) -> Sound:
    """`count` samples of unit power: white, pink, brown, hum, or other people."""
    kind = chance.integers(6)
    sound: Wave = chance.standard_normal(count)
    if kind == 1:
        sound = lfilter([1], [1, -0.97], sound)
    elif kind == 2:
        sound = lfilter([1], [1, -0.85], sound)
    elif kind == 3:
        sound = 0.2 * sound + hum(count, chance)
    elif kind == 4:
        sound = _band(sound, chance.uniform(60, 500), chance.uniform(800, 7000), chance)
    elif kind == 5 and len(babble) > 4:
        sound = np.zeros(count)
        for _ in range(4):
            other = babble[chance.integers(len(babble))]
            sound += np.roll(np.resize(other / _rms(other), count), chance.integers(count))
    return np.asarray(sound / _rms(sound), np.float32)


def hum(count: int, chance: Generator) -> Sound:
    """Mains hum with harmonics."""
    base = chance.choice([50.0, 60.0])
    times = np.arange(count) / SAMPLE_RATE
    sound = np.zeros(count)
    for harmonic in range(1, 8):
        phase = chance.uniform(0, 2 * np.pi)
        sound += chance.random() / harmonic * np.sin(2 * np.pi * base * harmonic * times + phase)
    return np.asarray(sound / _rms(sound), np.float32)


def not_speech(count: int, chance: Generator) -> Sound:
    """Something that no mouth made: silence, noise, hum, chords, clicks, sweeps; any level."""
    kind = chance.integers(9)
    sound: Wave = np.zeros(count)
    if kind == 0:
        pass
    elif kind == 1:
        sound = hum(count, chance)
    elif kind == 2:
        sound = _music(count, chance)
    elif kind == 3:
        for _ in range(chance.integers(2, 25)):
            length = int(chance.integers(1, 400))
            start = chance.integers(max(1, count - length))
            burst = chance.standard_normal(length) * np.exp(-np.arange(length) / (length / 4))
            sound[start : start + length] += burst * chance.uniform(0.1, 1)
    elif kind == 4:
        start, stop = chance.uniform(60, 6000, 2)
        sound = np.sin(2 * np.pi * np.cumsum(np.linspace(start, stop, count)) / SAMPLE_RATE)
    elif kind == 5:
        knots = np.arange(0, count + 8000, 8000)
        slow = np.interp(np.arange(count), knots, 10 ** chance.uniform(-1.5, 0, len(knots)))
        sound = noise(count, chance, []) * slow
    else:
        sound = noise(count, chance, [])
    if chance.random() < 0.2:
        sound[: chance.integers(count)] = 0.0  # it begins abruptly
    level = chance.uniform(-75, -12)
    bed = chance.standard_normal(count) * 10 ** (chance.uniform(-100, -60) / 20)
    return _clipped(sound / _rms(sound) * 10 ** (level / 20) + bed)


def _music(count: int, chance: Generator) -> Sound:
    """A few chords of harmonic tones that fade, or one that holds."""
    sound = np.zeros(count)
    times = np.arange(count) / SAMPLE_RATE
    starts = [0.0, *chance.uniform(0, count / SAMPLE_RATE, chance.integers(0, 8))]
    for start in starts:
        decay = chance.uniform(0.2, 8)
        since = np.maximum(times - start, 0)
        shape = (times >= start) * np.exp(-since / decay) * np.minimum(since / 0.01, 1)
        for _ in range(chance.integers(1, 5)):
            pitch = 110.0 * 2 ** (chance.integers(0, 36) / 12)
            for harmonic in range(1, int(chance.integers(2, 8))):
                sound += shape * np.sin(2 * np.pi * pitch * harmonic * times) / harmonic
    return np.asarray(sound, np.float32)


def _equalised(sound: Sound, chance: Generator) -> Sound:
    """A tilt, and up to two broad resonances."""
    if chance.random() < 0.7:
        numerator, denominator = [1.0, chance.uniform(-0.9, 0.6)], [1.0, chance.uniform(-0.5, 0.5)]
        sound = lfilter(numerator, denominator, sound)
    for _ in range(chance.integers(0, 3)):
        centre, gain = 100 * 60 ** chance.random(), 10 ** (chance.uniform(-9, 9) / 40)
        angle = 2 * np.pi * centre / SAMPLE_RATE
        width = np.sin(angle) / (2 * chance.uniform(0.5, 2))
        b = [1 + width * gain, -2 * np.cos(angle), 1 - width * gain]
        a = [1 + width / gain, -2 * np.cos(angle), 1 - width / gain]
        sound = lfilter(b, a, sound)
    return np.asarray(sound, np.float32)


def _in_a_room(sound: Sound, chance: Generator) -> Sound:
    """Early echoes and a tail that falls 60 dB in 0.15 to 1.3 s; the direct sound leads."""
    reverberation = 0.15 * (1.3 / 0.15) ** chance.random()
    length = int(min(reverberation, 0.9) * SAMPLE_RATE)
    times = np.arange(length) / SAMPLE_RATE
    tail = chance.standard_normal(length) * 10 ** (-3 * times / reverberation)
    tail *= times > chance.uniform(0.002, 0.03)
    tail = lfilter([1 - (damp := chance.uniform(0, 0.7))], [1, -damp], tail)
    ratio = chance.uniform(-2, 16)  # dB of direct sound over reverberation
    tail *= 10 ** (-ratio / 20) / np.sqrt((tail**2).sum() + 1e-9)
    for _ in range(chance.integers(0, 8)):
        echo = chance.uniform(0.002, 0.06)
        tail[int(echo * SAMPLE_RATE)] += chance.uniform(-0.4, 0.4)
    tail[0] = 1.0
    return np.asarray(fftconvolve(sound, tail)[: len(sound)], np.float32)


def _compressed(sound: Sound, chance: Generator) -> Sound:
    """Loud parts pulled down with a slow envelope, or bent by a saturating amplifier."""
    sound = sound / (np.abs(sound).max() + 1e-9)
    if chance.random() < 0.5:
        drive = chance.uniform(1, 8)
        return np.asarray(np.tanh(drive * sound), np.float32)
    envelope = np.sqrt(lfilter([0.002], [1, -0.998], sound**2) + 1e-5)
    return np.asarray(sound / envelope ** chance.uniform(0.3, 0.7), np.float32)


def coloured(count: int, poles: list[float], chance: Generator) -> Sound:
    """White noise of unit power through an all-pole filter."""
    sound = lfilter([1], poles, chance.standard_normal(count))
    return np.asarray(sound / _rms(sound), np.float32)


def _band(sound: Wave, low: float, high: float, chance: Generator) -> Sound:
    return band(sound, low, high, int(chance.integers(1, 5)))


def band(sound: Wave, low: float, high: float, order: int) -> Sound:
    """The band between `low` and `high` Hz."""
    sections = butter(order, [low, high], "band", fs=SAMPLE_RATE, output="sos")
    return np.asarray(sosfilt(sections, sound), np.float32)


def _coded(sound: Sound, chance: Generator) -> Sound:
    """Eight-bit mu-law, or a codec that drops what is weak in each short spectrum."""
    sound = sound / (np.abs(sound).max() + 1e-9)
    if chance.random() < 0.4:
        bent = np.sign(sound) * np.log1p(255 * np.abs(sound)) / np.log(256)
        bent = np.round(bent * 127) / 127
        return np.asarray(np.sign(bent) * (256 ** np.abs(bent) - 1) / 255, np.float32)
    size, hop = 512, 256
    shape = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    padded = np.pad(sound, (size, size))
    starts = np.arange(0, len(padded) - size, hop)
    spectra = np.fft.rfft(padded[starts[:, None] + np.arange(size)] * shape)
    size_of = np.abs(spectra)
    threshold = size_of.max(axis=1, keepdims=True) * 10 ** (chance.uniform(-45, -25) / 20)
    pieces = np.fft.irfft(np.where(size_of > threshold, spectra, 0)) * shape
    rebuilt = np.zeros(len(padded))
    for start, piece in zip(starts, pieces, strict=True):
        rebuilt[start : start + size] += piece
    return np.asarray(rebuilt[size : size + len(sound)], np.float32)


def _old_recording(sound: Sound, chance: Generator) -> Sound:
    """Narrow, bent, with hiss, hum and crackle: a tape or a disc."""
    sound = np.tanh(sound / _rms(sound) * chance.uniform(0.2, 1.0))
    sound = sound / _rms(sound)
    sound += chance.standard_normal(len(sound)) * 10 ** (chance.uniform(-40, -15) / 20)
    sound += hum(len(sound), chance) * 10 ** (chance.uniform(-45, -20) / 20)
    clicks = chance.integers(0, len(sound), chance.integers(0, 40))
    sound[clicks] += chance.uniform(-4, 4, len(clicks))
    return _band(sound, chance.uniform(80, 200), chance.uniform(3200, 6000), chance)


def _clipped(sound: Wave) -> Sound:
    return np.asarray(np.clip(sound, -1.0, 1.0), np.float32)


def _rms(sound: Wave) -> float:
    return float(np.sqrt(np.mean(np.square(sound)))) + 1e-9
