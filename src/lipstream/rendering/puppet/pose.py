"""What the mouth shall look like in one frame: articulation in, strengths of gestures out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lipstream.media.image import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Strengths of the gestures, each about 0 to 1."""

    gestures: Floats  # (len(flow.GESTURES),)
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

    def scaled(self, strength: float) -> Pose:
        """The pose on its way from rest (0) to all that it is (1)."""
        return Pose(self.gestures * np.float32(strength), self.tongue * strength)


def pose_of(articulation: Floats) -> Pose:
    """(7,) jaw, round, wide, close, tuck, teeth, tongue in 0..1 -> the pose that shows it.

    Closing, rounding and tucking take from the opening as they do in the targets that the
    articulation network was trained on, so the gap seen is the gap heard.
    """
    jaw, rounding, wide, close, tuck, teeth, tongue = (float(value) for value in articulation)
    shut = min(max(1.5 * close - 0.15, 0.0), 1.0)
    opening = jaw * (1 - 0.35 * rounding) * (1 - 0.6 * tuck) * (1 - shut)
    gestures = np.array(
        [
            opening,
            rounding,
            wide * (1 - 0.5 * close) * (1 - 0.5 * rounding),
            close,
            tuck,
            teeth * (1 - shut) * (1 - 0.5 * rounding),
        ],
        np.float32,
    )
    gestures[gestures < 1e-3] = 0
    return Pose(gestures, tongue)


REST = Pose(np.zeros(6, np.float32), 0.0)
