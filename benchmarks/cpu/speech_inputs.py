"""Inputs that move the mouth: the product's speech encoder, the phonemes, or a wrong control.

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
from lipstream.speech.articulation.lip_gap import lip_gap
from lipstream.speech.articulation.network import JAW, PARAMETERS
from lipstream.speech.base import EncoderState, Plan, SpeechEncoder
from lipstream.timeline import frame_count

if TYPE_CHECKING:
    from lipstream.media.image import Floats

FPS = 25
LATE = 0.120  # seconds by which the delayed control lags


class ScriptedEncoder:
    """A speech encoder that ignores the sound and returns given poses, one row a frame."""

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
class SpeechInput:
    """Sound for the stream, and the encoder of it."""

    samples: Floats  # (n,)
    sample_rate: int
    encoder: SpeechEncoder


@dataclass(frozen=True, slots=True, eq=False)
class InputSource:
    """Inputs made of clips: with the network when there is one, else from the phonemes."""

    network: SpeechEncoder | None

    @property
    def name(self) -> str:
        return "oracle" if self.network is None else "network"

    def real(self, clip: Clip) -> SpeechInput:
        """The clip as it is."""
        if self.network is None:
            return from_phonemes(clip)
        return SpeechInput(clip.samples, clip.sample_rate, self.network)

    def late(self, clip: Clip) -> SpeechInput:
        """The mouth follows the sound by `LATE`."""
        if self.network is None:
            rows = clip.poses(FPS)
            waiting = np.repeat(rows[:1], round(LATE * FPS), axis=0)
            return _scripted(clip, np.concatenate([waiting, rows]))
        silence = np.zeros(round(LATE * clip.sample_rate), np.float32)
        late = np.concatenate([silence, clip.samples])[: len(clip.samples)]
        return SpeechInput(late, clip.sample_rate, self.network)

    def wrong(self, clip: Clip, other: Clip) -> SpeechInput:
        """The mouth says `other` for as long as `clip` lasts."""
        if self.network is None:
            rows = np.resize(other.poses(FPS), (len(clip.poses(FPS)), len(PARAMETERS)))
            return _scripted(clip, rows)
        count = round(clip.seconds * other.sample_rate)
        return SpeechInput(np.resize(other.samples, count), other.sample_rate, self.network)

    def sound(self, sound: Sound) -> SpeechInput:
        """A sound that is no speech; to the phonemes it is silence."""
        nothing = ScriptedEncoder(np.zeros((1, len(PARAMETERS)), np.float32))
        return SpeechInput(sound.samples, sound.sample_rate, self.network or nothing)


def from_phonemes(clip: Clip) -> SpeechInput:
    """The mouth follows the phonemes: the limit of a perfect encoder."""
    return _scripted(clip, clip.poses(FPS))


def from_loudness(clip: Clip, poses: Floats) -> SpeechInput:
    """The jaw follows the loudness, as open and as lively as the real `poses` (frames, 7)."""
    level = loudness(clip)
    gap = lip_gap(poses)
    even = (level - level.mean()) / max(float(level.std()), 1e-6)
    rows = np.zeros((len(level), len(PARAMETERS)), np.float32)
    rows[:, JAW] = np.clip(gap.mean() + gap.std() * even, 0, 1)
    return _scripted(clip, rows)


def still(clip: Clip) -> SpeechInput:
    """The picture stays as it is."""
    return _scripted(clip, np.zeros((1, len(PARAMETERS)), np.float32))


def loudness(clip: Clip) -> Floats:
    """Root mean square of every frame in dB below full scale, not below -60."""
    size = clip.sample_rate // FPS
    count = frame_count(len(clip.samples), clip.sample_rate)
    pieces = clip.samples[: count * size].reshape(-1, size).astype(np.float64)
    power = np.maximum((pieces**2).mean(axis=1), 1e-6)
    return np.asarray(10 * np.log10(power), np.float32)


def _scripted(clip: Clip, poses: Floats) -> SpeechInput:
    return SpeechInput(clip.samples, clip.sample_rate, ScriptedEncoder(poses.astype(np.float32)))
