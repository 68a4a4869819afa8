"""The puppet's speech encoder: samples of one stream in, seven mouth parameters per frame out.

    samples -> LogMel -> ArticulationNetwork -> NoiseGate -> frame rules -> (frames, 7)

The sound is encoded in steps of 20 ms, one at a time: frames do not depend on how it was cut into
calls. A frame is made of the steps that end within its span; at 25 frames per second these are two.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipstream.media.image import Floats
from lipstream.speech.articulation.log_mel import LogMel
from lipstream.speech.articulation.network import (
    CLOSE,
    JAW,
    PARAMETERS,
    ROUND,
    TUCK,
    WIDE,
    ArticulationNetwork,
    load,
)
from lipstream.speech.articulation.noise_gate import NoiseGate
from lipstream.speech.base import Plan
from lipstream.timeline import FEATURE_STEP, frame_start

# MSE training compresses the range; rescale it.
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

_OPEN = 0.05  # jaw, as far as the lips do not close it: from here on an open mouth is seen
_ZERO, _ONE = np.float32(0), np.float32(1)
_BRIEF = [CLOSE, TUCK]  # gestures that a mean over the frame would lose: take their peak


class ArticulationState:
    """An `EncoderState`: the front end, the network's memory, the gate and the last pose."""

    def __init__(self, network: ArticulationNetwork, fps: Fraction) -> None:
        self._network = network
        self._fps = fps
        self._logmel = LogMel()
        self._memory = network.initial_state()
        self._gate = NoiseGate()
        self._partial = np.zeros(0, np.float32)  # samples short of a step
        self._steps = 0  # encoded
        self._outputs: list[Floats] = []  # (7,) each, of steps that no frame has used yet
        self._used = 0  # steps
        self._raw = np.zeros(len(PARAMETERS), np.float32)  # of the steps used last
        self._pose = np.zeros(len(PARAMETERS), np.float32)  # the last frame
        self._next = 0  # the frame that is due
        scale = float(_SLEW_RATE / fps)
        self._rise = (_RISE * scale).astype(np.float32)
        self._fall = (_FALL * scale).astype(np.float32)

    def advance(self, samples: Floats, frames: range, end: int | None = None) -> Floats:
        """Take the next samples, return the poses of `frames`: (len(frames), 7) in 0..1."""
        self._encode(samples)
        poses = np.empty((len(frames), len(PARAMETERS)), np.float32)
        for row, frame in enumerate(frames):
            assert frame == self._next, f"frame {frame} requested, frame {self._next} is due"
            poses[row] = self._frame(frame)
            self._next += 1
        return poses

    def fork(self) -> ArticulationState:
        """A copy that advances on its own from here."""
        # The network is shared by all streams and must not be copied with them.
        return copy.deepcopy(self, {id(self._network): self._network})

    def _encode(self, samples: Floats) -> None:
        sound = np.concatenate((self._partial, samples.astype(np.float32, copy=False)))
        whole = len(sound) // FEATURE_STEP * FEATURE_STEP
        if not whole:
            self._partial = sound
            return
        for features, loudness in zip(*self._logmel.steps(sound[:whole]), strict=True):
            output = self._network.step(self._memory, features)
            opening = self._gate.step(loudness, float(output[-1]))
            if self._steps >= self._network.dimensions.look_ahead:
                self._outputs.append(output[:-1] * np.float32(opening))
            self._steps += 1
        self._partial = sound[whole:].copy()

    def _frame(self, frame: int) -> Floats:
        count = frame_start(frame + 1, self._fps) // FEATURE_STEP - self._used
        assert count <= len(self._outputs), f"frame {frame} needs {count} steps more than used"
        if count > 0:
            steps = np.array(self._outputs[:count])
            del self._outputs[:count]
            self._used += count
            self._raw = steps.sum(axis=0) / np.float32(count)
            self._raw[_BRIEF] = steps.max(axis=0)[_BRIEF]
        pose = np.minimum(np.maximum((self._raw - _OFFSET) * _STRETCH, _ZERO), _ONE)
        slowest, fastest = self._pose - self._fall, self._pose + self._rise
        self._pose = np.minimum(np.maximum(pose, slowest), fastest)
        return self._pose


class ArticulationEncoder:
    """The puppet's `SpeechEncoder`. Its states do the work; `encode` adds nothing."""

    def __init__(self, network: ArticulationNetwork) -> None:
        self.network = network
        future = network.dimensions.look_ahead * FEATURE_STEP
        self.plan = Plan(past=0, step=1, future=future)

    @classmethod
    def from_file(cls, path: Path | None = None) -> ArticulationEncoder:
        """With the weights that ship, or those in `path`. Raises MissingError."""
        return cls(load(path))

    def open(self, fps: Fraction) -> ArticulationState:
        return ArticulationState(self.network, fps)

    def encode(self, contexts: Sequence[Floats]) -> list[Floats]:
        return list(contexts)

    def opens(self, context: Floats) -> bool:
        apart = context[:, JAW] * (1 - context[:, CLOSE])
        return bool(apart.max(initial=0) > _OPEN)
