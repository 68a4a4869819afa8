"""The distances of lips and sound at every offset, and what is read from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipstream.media.image import Floats
from lipstream.score.curves import Curve

MAX_SHIFT = 15  # frames of 1/25 s to either side
FPS = 25
WINDOW = 5  # frames that the network sees at once
EPSILON = 1e-6  # that torch's pairwise_distance adds to every difference


@dataclass(frozen=True, slots=True)
class Agreement:
    """The figures of papers on talking faces."""

    lse_c: float  # confidence: median less minimum of the distances by offset; more is better
    lse_d: float  # the minimum, at the best offset; less is better
    offset_ms: float  # there; positive: the lips are late

    @staticmethod
    def of(distances: Curve) -> Agreement:
        """Read the (31,) mean distances of `by_offset`."""
        best = int(distances.argmin())
        least = float(distances[best])
        late = MAX_SHIFT - best
        return Agreement(float(np.median(distances)) - least, least, 1000.0 * late / FPS)


def by_offset(lips: Floats, sound: Floats) -> Curve:
    """(n, d) features of lips and of sound -> (31,) mean distances, lips 15 frames late first last.

    Entry k compares lips of frame i with sound of frame i + k - 15. Beyond the ends the sound's
    features are zeros, as in the evaluation.
    """
    padded = np.pad(sound, ((MAX_SHIFT, MAX_SHIFT), (0, 0)))
    found = []
    for shift in range(2 * MAX_SHIFT + 1):
        differences = lips - padded[shift : shift + len(lips)] + EPSILON
        found.append(float(np.linalg.norm(differences.astype(np.float64), axis=1).mean()))
    return np.array(found)
