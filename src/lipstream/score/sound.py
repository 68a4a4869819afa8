"""The mouth that a sound asks for, read by the bundled articulation network, and its loudness."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lipstream.media.audio import AudioChunk
from lipstream.media.image import Floats
from lipstream.media.resampler import Resampler
from lipstream.score.curves import Curve, Track
from lipstream.speech.articulation.encoder import ArticulationEncoder
from lipstream.speech.articulation.lip_gap import lip_gap
from lipstream.speech.articulation.network import CLOSE
from lipstream.speech.mono_mixer import MonoMixer
from lipstream.speech.quiet_speech import QuietSpeechGain
from lipstream.timeline import FEATURE_RATE, FEATURE_STEP

MIN_DB = -60.0  # of full scale; quieter counts as this
OPEN = 0.05  # of the widest gap: less is a shut mouth
SHUT = 0.6  # of full closure: the sound is made by lips that meet
MIN_PAUSE = 0.30  # seconds of a shut mouth that are a pause, not a consonant


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """The curves of a sound, `FEATURE_RATE` values a second from its first sample on."""

    gap: Curve  # of the lips, 0..1
    close: Curve  # 1 where lips press together
    loudness: Curve  # dB of full scale, not below `MIN_DB`

    def track(self, curve: Curve, start: float) -> Track:
        """The curve with the times of its values, for a sound that starts at `start` seconds."""
        return Track(curve, FEATURE_RATE, start + 0.5 / FEATURE_RATE)

    @property
    def speaks(self) -> bool:
        """True where there is speech at all."""
        return bool((self.gap > OPEN).sum() >= MIN_PAUSE * FEATURE_RATE)

    def closures(self) -> list[tuple[float, float]]:
        """Seconds from and to which lips meet between sounds that open them."""
        found = []
        for first, stop in _stretches(self.close >= SHUT):
            near = self.gap[max(first - 10, 0) : stop + 10]
            if near.max() >= 2 * OPEN:
                found.append((first / FEATURE_RATE, stop / FEATURE_RATE))
        return found

    def pauses(self) -> list[tuple[float, float]]:
        """Seconds from and to which nothing is said."""
        shortest = round(MIN_PAUSE * FEATURE_RATE)
        return [
            (first / FEATURE_RATE, stop / FEATURE_RATE)
            for first, stop in _stretches(self.gap < OPEN)
            if stop - first >= shortest
        ]


def listen(chunks: Iterable[AudioChunk], sample_rate: int) -> Spoken:
    """Read the curves of a whole sound, heard as the puppet hears it.

    The gap is the mean of two readings, the second half a step later: where the first sample of a
    file lies is no property of its speech.
    """
    samples = _prepared(chunks, sample_rate)
    poses, later = _poses(samples), _poses(samples[FEATURE_STEP // 2 :])
    steps = np.arange(len(poses))
    between = np.interp(steps, np.arange(len(later)) + 0.5, lip_gap(later)) if len(later) else 0.0
    gap = (lip_gap(poses) + between) / 2
    power = np.square(samples[: len(poses) * FEATURE_STEP].astype(np.float64))
    power = power.reshape(-1, FEATURE_STEP).mean(axis=1)
    loudness = 10 * np.log10(np.maximum(power, 10 ** (MIN_DB / 10)))
    return Spoken(gap.astype(np.float64), poses[:, CLOSE].astype(np.float64), loudness)


def _poses(samples: Floats) -> Floats:
    """(n,) at 16 kHz -> (steps, 7) what the network reads."""
    steps = len(samples) // FEATURE_STEP
    encoder = ArticulationEncoder.from_file()
    padded = np.concatenate([samples, np.zeros(encoder.plan.future, np.float32)])
    return encoder.open(Fraction(FEATURE_RATE)).advance(padded, range(steps))


def _prepared(chunks: Iterable[AudioChunk], sample_rate: int) -> Floats:
    mixer, resampler, gain = MonoMixer(sample_rate), Resampler(sample_rate), QuietSpeechGain()
    pieces = [gain.apply(resampler.push(mixer.mix(chunk))) for chunk in chunks]
    return np.concatenate([*pieces, gain.apply(resampler.flush())])


def _stretches(chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and one past the last of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    return [(int(first), int(stop)) for first, stop in edges.reshape(-1, 2)]
