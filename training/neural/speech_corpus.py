"""Speech in pieces, and the poses that the puppet's network, the teacher, reads from it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipstream.media.image import Floats
from lipstream.speech.articulation.encoder import ArticulationEncoder
from lipstream.timeline import FEATURE_STEP, SAMPLE_RATE


@dataclass(frozen=True, slots=True, eq=False)
class SpeechCorpus:
    """Pieces of sound end to end, and their poses every 20 ms and in frames of 25 fps."""

    samples: NDArray[np.int16]
    lengths: NDArray[np.int64]  # samples of each piece, whole frames of 25 fps
    steps: Floats  # (sum of lengths / 320, 7)
    frames: Floats  # (sum of lengths / 640, 7)

    def __len__(self) -> int:
        return len(self.lengths)

    def piece(self, index: int) -> Floats:
        """(n,) in -1..1"""
        start = int(self.lengths[:index].sum())
        part = self.samples[start : start + int(self.lengths[index])]
        return part.astype(np.float32) / np.float32(32768)

    def step_poses(self, index: int) -> Floats:
        """(n / 320, 7)"""
        start = int(self.lengths[:index].sum()) // FEATURE_STEP
        return self.steps[start : start + int(self.lengths[index]) // FEATURE_STEP]

    def frame_poses(self, index: int) -> Floats:
        """(n / 640, 7)"""
        start = int(self.lengths[:index].sum()) // (2 * FEATURE_STEP)
        return self.frames[start : start + int(self.lengths[index]) // (2 * FEATURE_STEP)]

    def save(self, path: Path) -> None:
        np.savez(
            path,
            samples=self.samples,
            lengths=self.lengths,
            steps=self.steps,
            frames=self.frames,
        )

    @classmethod
    def load(cls, path: Path) -> SpeechCorpus:
        with np.load(path) as file:
            return cls(file["samples"], file["lengths"], file["steps"], file["frames"])


def poses_of(teacher: ArticulationEncoder, sound: Floats, fps: Fraction) -> Floats:
    """The poses, (frames, 7), that the puppet's speech encoder reads from a whole sound."""
    count = int(len(sound) * fps / SAMPLE_RATE)
    heard = np.concatenate([sound, np.zeros(teacher.plan.future + FEATURE_STEP, np.float32)])
    return teacher.open(fps).advance(heard, range(count), len(sound))
