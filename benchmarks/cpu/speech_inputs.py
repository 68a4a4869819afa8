"""What moves the mouth: the product's own ear, the phonemes themselves, or something wrong.

The wrong ones are controls. They go through the same renderer, tracker and gates as the real one; a
gate that lets them all pass measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.clips import Clip, Sound
from lipstream.speech.articulation.network import JAW, PARAMETERS
from lipstream.speech.base import EncoderState, Plan, SpeechEncoder
from lipstream.timeline import frame_count
from training.phonemes import aperture

if TYPE_CHECKING:
    from lipstream.media.image import Floats

FPS = 25
LATE = 0.120  # seconds by which the delayed control lags


class Script:
    """A speech encoder that hears nothing: it says what is written, one row of poses a frame."""

    def __init__(self, poses: Floats) -> None:
        """`poses` is (frames, 7); after the last the mouth rests."""
        self.poses = poses
        self.plan = Plan(past=0, step=1, future=0)

    def open(self, fps: Fraction) -> EncoderState:
        assert fps == FPS
        return self

    def advance(self, samples: Floats, frames: range, end: int | None = None) -> Floats:
        rows = np.zeros((len(frames), len(PARAMETERS)), np.float32)
        known = self.poses[frames.start : frames.stop]
        rows[: len(known)] = known
        return rows

    def fork(self) -> EncoderState:
        return self

    def encode(self, contexts: Sequence[Floats]) -> list[Floats]:
        return list(contexts)


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """Sound for the stream, and the ear that listens to it."""

    samples: Floats  # (n,)
    sample_rate: int
    encoder: SpeechEncoder


@dataclass(frozen=True, slots=True, eq=False)
class Driver:
    """Makes takes of clips: with the network when there is one, else from the phonemes."""

    network: SpeechEncoder | None

    @property
    def name(self) -> str:
        return "oracle" if self.network is None else "network"

    def real(self, clip: Clip) -> Take:
        """The clip as it is."""
        if self.network is None:
            return spelled(clip)
        return Take(clip.samples, clip.sample_rate, self.network)

    def late(self, clip: Clip) -> Take:
        """The mouth follows the sound by `LATE`."""
        if self.network is None:
            rows = clip.poses(FPS)
            waiting = np.repeat(rows[:1], round(LATE * FPS), axis=0)
            return _scripted(clip, np.concatenate([waiting, rows]))
        silence = np.zeros(round(LATE * clip.sample_rate), np.float32)
        late = np.concatenate([silence, clip.samples])[: len(clip.samples)]
        return Take(late, clip.sample_rate, self.network)

    def wrong(self, clip: Clip, other: Clip) -> Take:
        """The mouth says `other` for as long as `clip` lasts."""
        if self.network is None:
            rows = np.resize(other.poses(FPS), (len(clip.poses(FPS)), len(PARAMETERS)))
            return _scripted(clip, rows)
        count = round(clip.seconds * other.sample_rate)
        return Take(np.resize(other.samples, count), other.sample_rate, self.network)

    def sound(self, sound: Sound) -> Take:
        """A sound that is no speech; to the phonemes it is silence."""
        nothing = Script(np.zeros((1, len(PARAMETERS)), np.float32))
        return Take(sound.samples, sound.sample_rate, self.network or nothing)


def spelled(clip: Clip) -> Take:
    """The mouth does what the phonemes call for: the best that a perfect ear could do."""
    return _scripted(clip, clip.poses(FPS))


def loud(clip: Clip, poses: Floats) -> Take:
    """The jaw follows the loudness, as open and as lively as the real `poses` (frames, 7)."""
    level = loudness(clip)
    gap = aperture(poses)
    even = (level - level.mean()) / max(float(level.std()), 1e-6)
    rows = np.zeros((len(level), len(PARAMETERS)), np.float32)
    rows[:, JAW] = np.clip(gap.mean() + gap.std() * even, 0, 1)
    return _scripted(clip, rows)


def still(clip: Clip) -> Take:
    """The picture stays as it is."""
    return _scripted(clip, np.zeros((1, len(PARAMETERS)), np.float32))


def loudness(clip: Clip) -> Floats:
    """Root mean square of every frame in dB below full scale, not below -60."""
    size = clip.sample_rate // FPS
    count = frame_count(len(clip.samples), clip.sample_rate)
    pieces = clip.samples[: count * size].reshape(-1, size).astype(np.float64)
    power = np.maximum((pieces**2).mean(axis=1), 1e-6)
    return np.asarray(10 * np.log10(power), np.float32)


def _scripted(clip: Clip, poses: Floats) -> Take:
    return Take(clip.samples, clip.sample_rate, Script(poses.astype(np.float32)))
