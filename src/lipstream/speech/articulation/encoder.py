"""The puppet's ear: samples of one stream in, seven mouth parameters per frame out.

    samples -> LogMel -> Articulation -> NoiseGate -> frame rules -> (frames, 7)

The sound is heard in steps of 20 ms, always one at a time and always by the same arithmetic, so the
frames do not depend on how the samples were cut into calls. A frame is made of the steps that end
within its span; at 25 frames per second these are two, centred on the frame.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipstream.speech.articulation.log_mel import LogMel
from lipstream.speech.articulation.network import (
    CLOSE,
    JAW,
    PARAMETERS,
    ROUND,
    TUCK,
    WIDE,
    Articulation,
    load,
)
from lipstream.speech.articulation.noise_gate import NoiseGate
from lipstream.speech.base import Plan
from lipstream.timeline import FEATURE_STEP, frame_start

if TYPE_CHECKING:
    from lipstream.media.image import Floats

# The network learnt by squared error and is shy: it moves less than it should.
# Offset and stretch per parameter, tuned on recordings not trained on; see training/REPORT.md.
_OFFSET = np.zeros(len(PARAMETERS), np.float32)
_STRETCH = np.ones(len(PARAMETERS), np.float32)
_OFFSET[JAW], _STRETCH[JAW] = 0.08, 1.4
_STRETCH[CLOSE] = 1.15

# Most that a parameter may rise and fall in 40 ms. Lips that meet may do so within one frame.
_RISE = np.full(len(PARAMETERS), np.inf)
_RISE[[JAW, ROUND, WIDE]] = 0.5, 0.35, 0.35
_FALL = np.full(len(PARAMETERS), np.inf)
_FALL[[JAW, ROUND, WIDE]] = 0.45, 0.35, 0.35
_SLEW_RATE = 25  # the limits above are per frame at this frame rate

_ZERO, _ONE = np.float32(0), np.float32(1)
_BRIEF = [CLOSE, TUCK]  # gestures that a mean over the frame would lose: take their peak


class ArticulationState:
    """What one stream has heard: the front end, the network's memory, the gate, the last pose."""

    def __init__(self, network: Articulation, fps: Fraction) -> None:
        self._network = network
        self._fps = fps
        self._logmel = LogMel()
        self._memory = network.begin()
        self._gate = NoiseGate()
        self._waiting = np.zeros(0, np.float32)  # samples short of a step
        self._heard = 0  # steps
        self._answers: list[Floats] = []  # (7,) each, of steps that no frame has used yet
        self._used = 0  # steps
        self._mouth = np.zeros(len(PARAMETERS), np.float32)  # of the steps used last
        self._pose = np.zeros(len(PARAMETERS), np.float32)  # the last frame
        self._next = 0  # the frame that is due
        scale = float(_SLEW_RATE / fps)
        self._rise = (_RISE * scale).astype(np.float32)
        self._fall = (_FALL * scale).astype(np.float32)

    def hear(self, samples: Floats, frames: range, end: int | None = None) -> Floats:
        """Take the next samples, return the poses of `frames`: (len(frames), 7) in 0..1."""
        self._listen(samples)
        poses = np.empty((len(frames), len(PARAMETERS)), np.float32)
        for row, frame in enumerate(frames):
            assert frame == self._next, f"frame {frame} asked for, frame {self._next} is due"
            poses[row] = self._frame(frame)
            self._next += 1
        return poses

    def fork(self) -> ArticulationState:
        """An ear that has heard the same and from now on goes its own way."""
        # The network is shared by all ears and must not be copied with them.
        return copy.deepcopy(self, {id(self._network): self._network})

    def _listen(self, samples: Floats) -> None:
        """Step the network through all whole steps."""
        heard = np.concatenate((self._waiting, samples.astype(np.float32, copy=False)))
        whole = len(heard) // FEATURE_STEP * FEATURE_STEP
        for start in range(0, whole, FEATURE_STEP):
            features, loudness = self._logmel.step(heard[start : start + FEATURE_STEP])
            answer = self._network.step(self._memory, features)
            opening = self._gate.step(loudness, float(answer[-1]))
            if self._heard >= self._network.dimensions.look_ahead:
                self._answers.append(answer[:-1] * np.float32(opening))
            self._heard += 1
        self._waiting = heard[whole:].copy()

    def _frame(self, frame: int) -> Floats:
        """The pose of the frame that is due."""
        count = frame_start(frame + 1, self._fps) // FEATURE_STEP - self._used
        assert count <= len(self._answers), f"frame {frame} needs {count} steps more than used"
        if count > 0:
            steps = np.array(self._answers[:count])
            del self._answers[:count]
            self._used += count
            self._mouth = steps.sum(axis=0) / np.float32(count)
            self._mouth[_BRIEF] = steps.max(axis=0)[_BRIEF]
        pose = np.minimum(np.maximum((self._mouth - _OFFSET) * _STRETCH, _ZERO), _ONE)
        slowest, fastest = self._pose - self._fall, self._pose + self._rise
        self._pose = np.minimum(np.maximum(pose, slowest), fastest)
        return self._pose


class ArticulationEncoder:
    """The puppet's speech encoder. The ears do the work, so that encoding has nothing to add."""

    def __init__(self, network: Articulation) -> None:
        self.network = network
        future = network.dimensions.look_ahead * FEATURE_STEP
        self.plan = Plan(past=0, step=1, future=future)

    @classmethod
    def from_file(cls, path: Path | None = None) -> ArticulationEncoder:
        """With the weights that ship, or those in `path`. Raises MissingError."""
        return cls(load(path))

    def open(self, fps: Fraction) -> ArticulationState:
        """A fresh ear; frame 0 of its stream begins at the first sample it will hear."""
        return ArticulationState(self.network, fps)

    def encode(self, contexts: Sequence[Floats]) -> list[Floats]:
        """The contexts as they are: (frames, 7) each."""
        return list(contexts)
