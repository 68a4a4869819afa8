"""Teeth that a picture shows between its lips, where the mesh does not see them.

The mesh takes a row of teeth that touches a lip for a part of that lip. Left there, it stays in the
picture when the mouth shuts, and a second row is painted below it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.media.image import Floats, Image
from lipstream.rendering.puppet.mouth.colours import LUMA, SKIN_POINTS, median_colour
from lipstream.rendering.puppet.warp import Doubles, sample

# Mouth widths below the middle of the lips that are searched.
STEPS = np.linspace(-0.16, 0.16, 41)
# Mouth widths between a row of teeth and the edges that the mesh sees: the teeth stand behind the
# upper lip, so they touch it; what is pale on the lower lip is a gleam.
MAX_ABOVE, MAX_BELOW = 0.035, 0.0
MIN_HEIGHT = 0.03  # mouth widths of a row; a thinner one is a gleam
MIN_COVERAGE = 0.6  # of the columns searched
MIN_CHROMA = 0.15  # of the skin, per brightness; in a grey picture teeth look like light skin
# Teeth are paler than the skin, and bright.
MAX_CHROMA, MIN_BRIGHTNESS = 0.70, 0.70


def find_teeth(
    image: Image, points: Floats, places: Floats, edges: tuple[Doubles, Doubles]
) -> tuple[Doubles, Doubles] | None:
    """Find the upper and the lower border of a row of teeth, (columns,) mouth widths each.

    `places` (columns, len(STEPS), 2) are the picture pixels at STEPS around the middle of the lips
    in its inner columns, `edges` the inner edges of both lips by the mesh, in the unit of STEPS.
    None where the picture shows no row of teeth.
    """
    skin = median_colour(image, points, SKIN_POINTS)
    brightness = float(skin @ LUMA)
    chroma = float(np.ptp(skin)) / max(brightness, 1)
    if chroma < MIN_CHROMA:
        return None
    colour = sample(image.astype(np.float32), places)
    light = colour @ LUMA.astype(np.float32)
    pale = np.ptp(colour, axis=-1) < MAX_CHROMA * chroma * np.maximum(light, 1)
    rows = _rows(pale & (light > MIN_BRIGHTNESS * brightness), edges)
    found = rows[:, 1] - rows[:, 0] >= MIN_HEIGHT
    if found.mean() < MIN_COVERAGE:
        return None
    columns = np.arange(len(rows))
    filled = (np.interp(columns, columns[found], border[found]) for border in rows.T)
    top, bottom = (cv2.GaussianBlur(border[None], (0, 0), 3).ravel() for border in filled)
    return top, bottom


def _rows(white: NDArray[np.bool_], edges: tuple[Doubles, Doubles]) -> Doubles:
    """The first and the last step of the white run that belongs to the mouth in each column.

    Both are nan-free: a column without one has an empty run.
    """
    rows = np.zeros((len(white), 2))
    for column, (upper, lower) in enumerate(zip(*edges, strict=True)):
        padded = np.concatenate([[False], white[column], [False]])
        changes = np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)
        for first, last in changes:
            run = STEPS[first], STEPS[last - 1]
            touches = run[1] > upper - MAX_ABOVE and run[0] < lower + MAX_BELOW
            if touches and run[1] - run[0] > rows[column, 1] - rows[column, 0]:
                rows[column] = run
    return rows
