"""How a still head sways: a smooth displacement that leaves shoulders and background alone.

The head is displaced, not cut out, so nothing behind it has to be invented. Turns and nods move
near points (the nose) more than far ones (the ears), which reads as depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Box
from lipstream.rendering.puppet.mouth_geometry import smoothstep

if TYPE_CHECKING:
    from lipstream.media.image import Floats

Field = NDArray[np.float64]

MOTIONS = ("right", "down", "roll", "turn", "nod")
SCALE = 4  # the fields are smooth: one point per 4 pixels
STILL, FREE = 1.30, 0.75  # radii of the ellipse where motion ends and where it is full
HALF_WIDTH, HALF_HEIGHT = 0.62, 0.80  # of the ellipse, in face heights


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """One head in a picture: how far each point of the picture moves with it."""

    points: Floats  # (468, 2) landmarks
    size: tuple[int, int]  # (width, height) of the picture

    @property
    def centre(self) -> NDArray[np.float64]:
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
        reach = STILL * np.array([HALF_WIDTH, HALF_HEIGHT]) * self.height
        # A tilted head needs room on both axes.
        reach = reach + (reach.max() - reach) * abs(np.sin(lm.roll(self.points)))
        (x0, y0), (x1, y1) = np.floor(self.centre - reach), np.ceil(self.centre + reach)
        return Box(int(x0), int(y0), int(x1), int(y1)).clip(*self.size)

    def fields(self, where: NDArray[np.floating]) -> Floats:
        """(len(MOTIONS), n * 2): how (n, 2) points move per unit of each motion, pixels.

        Units: right and down in pixels, roll in radians, turn and nod in pixels of the nose
        against the ears.
        """
        x, y = np.asarray(where, np.float64).reshape(-1, 2).T
        angle = lm.roll(self.points)
        cos, sin = np.cos(angle), np.sin(angle)
        right, down = x - self.centre[0], y - self.centre[1]
        along, below = cos * right + sin * down, cos * down - sin * right
        mask = self._mask(x, y, along, below)
        pivot = self.points[lm.CHIN, :2] + 0.1 * self.height * np.array([-sin, cos])
        bulge = 1 - (along / (0.42 * self.height)) ** 2 - (below / (0.6 * self.height)) ** 2
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

    def _mask(self, x: Field, y: Field, along: Field, below: Field) -> Field:
        """1 on the head, 0 on shoulders and background and at the picture's edge."""
        height, (width, rows) = self.height, self.size
        radius = np.hypot(along / (HALF_WIDTH * height), below / (HALF_HEIGHT * height))
        margin = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, rows - 1 - y))
        return smoothstep(STILL, FREE, radius) * smoothstep(0, 0.12 * height, margin)


@dataclass(frozen=True, slots=True, eq=False)
class HeadFlow:
    """The motion of every pixel of `box`, on a coarse grid one cell wider than it all round."""

    box: Box
    still: Floats  # (rows, columns, 2) the coarse grid's own pixels, counted from the box's corner
    fields: Floats  # (len(MOTIONS), rows * columns * 2) pixels at unit motion

    def origins(self, motion: Floats, zoom: int) -> Floats:
        """(box height, box width, 2): where each pixel comes from, counted from the box's corner.

        Coordinates are of a picture `zoom` times as large.
        """
        coarse = (self.still - (motion @ self.fields).reshape(self.still.shape)) * np.float32(zoom)
        rows, columns = coarse.shape[:2]
        fine = cv2.resize(coarse, (columns * SCALE, rows * SCALE), interpolation=cv2.INTER_LINEAR)
        return np.asarray(fine[SCALE : SCALE + self.box.height, SCALE : SCALE + self.box.width])


def build_head_flow(head: Head, box: Box) -> HeadFlow:
    """The flow of `head` over the pixels of `box`."""
    # Pixel centres of the coarse grid as cv2.resize places them.
    shift = (SCALE - 1) / 2
    x, y = np.meshgrid(
        np.arange(box.left - SCALE, box.right + SCALE, SCALE) + shift,
        np.arange(box.top - SCALE, box.bottom + SCALE, SCALE) + shift,
    )
    grid = np.stack([x, y], -1)
    still = (grid - (box.left, box.top)).astype(np.float32)
    return HeadFlow(box, still, head.fields(grid))
