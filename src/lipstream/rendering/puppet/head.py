"""How a still head sways: a smooth displacement that leaves shoulders and background alone.

The head is displaced, not cut out, so nothing behind it has to be invented. Turns and nods move
near points (the nose) more than far ones (the ears), which reads as depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lipstream.avatar import landmarks as lm
from lipstream.rendering.puppet.anatomy import smoothstep
from lipstream.video import Box

if TYPE_CHECKING:
    from lipstream.video import Floats

MOTIONS = ("right", "down", "roll", "turn", "nod")
SCALE = 4  # the fields are smooth: one point per 4 pixels
STILL, FREE = 1.55, 0.85  # radii of the ellipse where motion ends and where it is full
HALF_WIDTH, HALF_HEIGHT = 0.62, 0.80  # of the ellipse, in face heights


@dataclass(frozen=True, slots=True, eq=False)
class HeadFlow:
    """The displacement fields of one head, on a coarse grid one cell wider than `box` all round."""

    box: Box
    still: Floats  # (rows, columns, 2) the coarse grid's own pixels, counted from the box's corner
    fields: Floats  # (len(MOTIONS), rows * columns * 2) pixels at unit motion

    def origins(self, motion: Floats, zoom: int) -> Floats:
        """(box height, box width, 2): where each pixel comes from, counted from the box's corner.

        `motion` is (len(MOTIONS),): right and down in pixels, roll in radians, turn and nod in
        pixels of the nose against the ears. Coordinates are of a picture `zoom` times as large.
        """
        coarse = (self.still - (motion @ self.fields).reshape(self.still.shape)) * np.float32(zoom)
        rows, columns = coarse.shape[:2]
        fine = cv2.resize(coarse, (columns * SCALE, rows * SCALE), interpolation=cv2.INTER_LINEAR)
        return np.asarray(fine[SCALE : SCALE + self.box.height, SCALE : SCALE + self.box.width])


def head_box(points: Floats, size: tuple[int, int]) -> Box:
    """The part of a picture of `size` (width, height) that a sway may move."""
    centre, height = _ellipse(points)
    reach = STILL * np.array([HALF_WIDTH, HALF_HEIGHT]) * height
    # A tilted head needs room on both axes.
    tilt = abs(np.sin(lm.roll(points)))
    reach = reach + (reach.max() - reach) * tilt
    (x0, y0), (x1, y1) = np.floor(centre - reach), np.ceil(centre + reach)
    return Box(int(x0), int(y0), int(x1), int(y1)).clip(*size)


def build_head(points: Floats, box: Box, size: tuple[int, int]) -> HeadFlow:
    """The flow of a head with (468, 2) landmarks in a picture of `size` (width, height)."""
    centre, height = _ellipse(points)
    # Pixel centres of the coarse grid as cv2.resize places them.
    shift = (SCALE - 1) / 2
    x, y = np.meshgrid(
        np.arange(box.left - SCALE, box.right + SCALE, SCALE) + shift,
        np.arange(box.top - SCALE, box.bottom + SCALE, SCALE) + shift,
    )
    angle = lm.roll(points)
    cos, sin = np.cos(angle), np.sin(angle)
    right, down = x - centre[0], y - centre[1]
    along, below = cos * right + sin * down, cos * down - sin * right
    radius = np.hypot(along / (HALF_WIDTH * height), below / (HALF_HEIGHT * height))
    margin = np.minimum(np.minimum(x, size[0] - 1 - x), np.minimum(y, size[1] - 1 - y))
    mask = smoothstep(STILL, FREE, radius) * smoothstep(0, 0.12 * height, margin)
    pivot = points[lm.CHIN, :2] + 0.1 * height * np.array([-sin, cos])
    bulge = 1 - (along / (0.42 * height)) ** 2 - (below / (0.6 * height)) ** 2
    depth = np.sqrt(np.clip(bulge, 0, 1))
    zero = np.zeros_like(mask)
    fields = [
        (mask, zero),
        (zero, mask),
        (-(y - pivot[1]) * mask, (x - pivot[0]) * mask),
        (cos * depth * mask, sin * depth * mask),
        (-sin * depth * mask, cos * depth * mask),
    ]
    flat = [np.stack(pair, -1).ravel() for pair in fields]
    still = np.stack([x - box.left, y - box.top], -1)
    return HeadFlow(box, still.astype(np.float32), np.stack(flat).astype(np.float32))


def _ellipse(points: Floats) -> tuple[np.ndarray, float]:
    """Centre and height of the face, pixels."""
    ends = points[[lm.FOREHEAD, lm.CHIN], :2].astype(np.float64)
    return ends.mean(0), float(np.linalg.norm(ends[1] - ends[0]))
