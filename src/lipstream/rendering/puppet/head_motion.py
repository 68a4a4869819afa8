"""The sway of a still head: a smooth displacement that leaves shoulders and background alone.

The head is displaced, not cut out, so nothing behind it has to be invented. Turns and nods move
near points (the nose) more than far ones (the ears), which reads as depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Box, Floats
from lipstream.rendering.puppet.mouth.geometry import smoothstep
from lipstream.rendering.puppet.warp import (
    Doubles,
    Points,
    bounding_box,
    enlarge_planes,
    grow,
    pixel_grid,
)

MOTIONS = ("right", "down", "roll", "turn", "nod")
GRID_STEP = 4  # pixels; the fields are smooth
STILL_RADIUS, FREE_RADIUS = 1.30, 0.75  # of the ellipse: no motion outside, full motion inside
HALF_WIDTH, HALF_HEIGHT = 0.62, 0.80  # of the ellipse, face heights


@dataclass(frozen=True, slots=True, eq=False)
class HeadGeometry:
    """The place of one head in a picture and the share by which each point moves with it."""

    points: Floats  # (468, 2) landmarks
    size: tuple[int, int]  # (width, height) of the picture

    @property
    def centre(self) -> Doubles:
        """(2,) pixels."""
        ends = self.points[[lm.FOREHEAD, lm.CHIN], :2]
        return np.asarray(ends.mean(0), np.float64)

    @property
    def height(self) -> float:
        """Forehead to chin, pixels."""
        return lm.face_height(self.points)

    @property
    def box(self) -> Box:
        """The part of the picture that a sway may move."""
        reach = STILL_RADIUS * np.array([HALF_WIDTH, HALF_HEIGHT]) * self.height
        # A tilted head needs room on both axes.
        reach = reach + (reach.max() - reach) * abs(np.sin(lm.roll(self.points)))
        return bounding_box(np.stack([self.centre - reach, self.centre + reach]), self.size)

    def fields(self, points: Points) -> Floats:
        """The (len(MOTIONS), n * 2) pixels by which (n, 2) points move per unit of each motion.

        Units: right and down in pixels, roll in radians, turn and nod in pixels of the nose
        against the ears.
        """
        x, y = np.asarray(points, np.float64).reshape(-1, 2).T
        angle = lm.roll(self.points)
        cos, sin = np.cos(angle), np.sin(angle)
        right, down = x - self.centre[0], y - self.centre[1]
        along, below = cos * right + sin * down, cos * down - sin * right
        # 1 on the head, 0 on shoulders and background and at the picture's edge.
        height, (width, rows) = self.height, self.size
        radius = np.hypot(along / (HALF_WIDTH * height), below / (HALF_HEIGHT * height))
        margin = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, rows - 1 - y))
        mask = smoothstep(STILL_RADIUS, FREE_RADIUS, radius) * smoothstep(0, 0.12 * height, margin)
        pivot = self.points[lm.CHIN, :2] + 0.1 * height * np.array([-sin, cos])
        bulge = 1 - (along / (0.42 * height)) ** 2 - (below / (0.6 * height)) ** 2
        depth = np.sqrt(np.clip(bulge, 0, 1)) * mask
        zero = np.zeros_like(mask)
        fields = [
            (mask, zero),
            (zero, mask),
            (-(y - pivot[1]) * mask, (x - pivot[0]) * mask),
            (cos * depth, sin * depth),
            (-sin * depth, cos * depth),
        ]
        return np.stack([np.stack(pair, -1).ravel() for pair in fields]).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class HeadFlow:
    """The motion of every pixel of `box`, on a coarse grid one cell wider than it all round."""

    box: Box
    still: Floats  # (2, rows, columns) the coarse grid's own pixels, counted from the box's corner
    fields: Floats  # (len(MOTIONS), 2 * rows * columns) pixels at unit motion

    def sources(self, motion: Floats, zoom: int) -> Floats:
        """The (2, box height, box width) source x and y of each pixel, from the box's corner.

        Coordinates are of a picture `zoom` times as large.
        """
        coarse = (self.still - (motion @ self.fields).reshape(self.still.shape)) * np.float32(zoom)
        width, height = self.box.width + GRID_STEP, self.box.height + GRID_STEP
        return enlarge_planes(coarse, GRID_STEP, (width, height))[:, GRID_STEP:, GRID_STEP:]


def build_head_flow(head: HeadGeometry, box: Box) -> HeadFlow:
    """Compute the flow of `head` over the pixels of `box`."""
    grid = pixel_grid(grow(box, GRID_STEP), GRID_STEP)
    still = np.moveaxis(grid - (box.left, box.top), -1, 0).astype(np.float32, order="C")
    fields = head.fields(grid).reshape(len(MOTIONS), -1, 2)
    return HeadFlow(box, still, fields.transpose(0, 2, 1).reshape(len(MOTIONS), -1))
