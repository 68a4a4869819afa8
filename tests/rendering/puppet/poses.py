"""Poses by the names of articulation parameters, and the lips as the face finder reads them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.config import MotionConfig
from lipstream.rendering.puppet.pose import Pose, pose_of
from lipstream.speech.articulation.network import PARAMETERS

if TYPE_CHECKING:
    from lipstream.avatar.face.finder import FaceFinder
    from lipstream.media.image import Floats, Image

FPS = Fraction(25)
STILL = MotionConfig(blink=False, sway=False)
EXAMPLES = Path(__file__).parents[3] / "examples"


def articulation(**values: float) -> Floats:
    """The articulation network's output with these values and zeros elsewhere."""
    return np.array([values.get(name, 0.0) for name in PARAMETERS], np.float32)


def pose(**values: float) -> Pose:
    """The pose of `articulation` with these values."""
    return pose_of(articulation(**values))


REST, AH = pose(), pose(jaw=0.95, wide=0.3)


def lip_gap(finder: FaceFinder, picture: Image) -> float:
    """The gap between the lips of the first face, in eye distances."""
    points = finder.find(picture)[0].landmarks
    return lm.mouth_gap(points) / lm.eye_distance(points)
