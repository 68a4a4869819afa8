"""The gap between the lips that a pose makes: how its parameters add up.

The network's loss, the targets that it was taught, the renderer and the score take it from here.
"""

from __future__ import annotations

import numpy as np

from lipstream.media.image import Floats
from lipstream.speech.articulation.network import CLOSE, JAW, ROUND, TUCK

# Shares of the gap that fully rounded lips, and a lower lip under the teeth, take.
ROUND_NARROWS, TUCK_FILLS = 0.35, 0.75
# Lips meet before they press: `close` shuts nothing below 0.1 and everything from 0.77 on.
SHUT_SLOPE, SHUT_BEGIN = 1.5, -0.15


def lip_gap(poses: Floats) -> Floats:
    """(..., 7) poses -> (...) gaps, 0..1, in float32."""
    jaw, rounded, tuck = poses[..., JAW], poses[..., ROUND], poses[..., TUCK]
    gap = jaw * (1 - ROUND_NARROWS * rounded) * (1 - TUCK_FILLS * np.clip(tuck, 0, 1))
    shut = np.clip(poses[..., CLOSE] * SHUT_SLOPE + SHUT_BEGIN, 0, 1)
    return np.asarray(np.clip(gap, 0, 1.2) * (1 - shut), np.float32)
