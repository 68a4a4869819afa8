"""The openness of mouths: of one picture, and of the frames of a clip whose person talks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.face.landmarks import mouth_gap, mouth_width
from lipstream.media.image import Floats

MAX_CLOSED = 0.07  # mouth widths; the mesh reads up to 0.06 on closed lips
MAX_PARTED = 0.03  # above the most closed frame; the mesh's noise in a clip is up to 0.02


def openness(points: Floats) -> float:
    """The gap between the lips of (468, 2) landmarks, mouth widths."""
    return mouth_gap(points) / max(mouth_width(points), 1.0)


def parted(frames: Sequence[Floats]) -> NDArray[np.bool_]:
    """Tell for each frame of one shot, of which there is one at least, if its lips stand apart.

    All do in a shot that has no closed mouth.
    """
    gaps = np.array([openness(points) for points in frames])
    shut = float(gaps.min())
    return np.asarray(gaps > (shut + MAX_PARTED if shut <= MAX_CLOSED else 0.0), np.bool_)
