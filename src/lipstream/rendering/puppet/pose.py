"""The pose of the mouth in one frame: articulation in, weights of gestures out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipstream.media.image import Floats
from lipstream.speech.articulation.lip_gap import ROUND_NARROWS, SHUT_BEGIN, SHUT_SLOPE

MIN_WEIGHT = 1e-3  # gestures below it are invisible and count as none
TUCK_COVERS = 0.6  # of the opening, that a lower lip under the teeth takes


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """The weights of the gestures, each about 0 to 1."""

    gestures: Floats  # (6,), of `mouth.flow.GESTURES`
    tongue: float

    @property
    def jaw(self) -> float:
        return float(self.gestures[0])

    @property
    def rounding(self) -> float:
        return float(self.gestures[1])

    @property
    def is_rest(self) -> bool:
        """Nothing moves: the lips simply touch."""
        return not self.gestures.any()

    def scaled(self, weight: float) -> Pose:
        """The pose blended with rest: 0 is rest, 1 the pose itself."""
        return Pose(self.gestures * np.float32(weight), self.tongue * weight)


def pose_of(articulation: Floats) -> Pose:
    """Turn (7,) jaw, round, wide, close, tuck, teeth, tongue in 0..1 into a pose.

    Closing and rounding take from the opening what they take in `lip_gap`, so the gap drawn is the
    gap predicted. A tucked lip takes less than there: the teeth that it lies under are to be seen.
    """
    jaw, rounding, wide, close, tuck, teeth, tongue = (float(value) for value in articulation)
    shut = min(max(SHUT_SLOPE * close + SHUT_BEGIN, 0.0), 1.0)
    opening = jaw * (1 - ROUND_NARROWS * rounding) * (1 - TUCK_COVERS * tuck) * (1 - shut)
    spreading = wide * (1 - 0.5 * close) * (1 - 0.5 * rounding)
    baring = teeth * (1 - shut) * (1 - 0.5 * rounding)
    gestures = np.array([opening, rounding, spreading, close, tuck, baring], np.float32)
    gestures[gestures < MIN_WEIGHT] = 0
    return Pose(gestures, tongue)


REST = Pose(np.zeros(6, np.float32), 0.0)
