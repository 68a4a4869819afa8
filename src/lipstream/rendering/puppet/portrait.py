"""A still portrait that talks: mouth, eyelids and head in one warp of the head's box."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lipstream.config import MotionConfig
from lipstream.rendering.composite import paste
from lipstream.rendering.puppet.eyelids import close_eyes
from lipstream.rendering.puppet.head import HeadFlow, build_head, head_box
from lipstream.rendering.puppet.life import BLINK_CURVE, lid_position, sway
from lipstream.rendering.puppet.lips import Lips, join_layers, layers_of, prepare_lips, shade
from lipstream.rendering.puppet.pose import Pose
from lipstream.rendering.puppet.warp import doubled, similarity, warp_doubled
from lipstream.video import Box

if TYPE_CHECKING:
    from lipstream.video import Floats, Image


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture with everything that can move in it, computed once."""

    image: Image
    region: Box  # the part of the picture that is redrawn
    lids: dict[float, Image]  # the region with the eyes closed so far, doubled
    lips: Lips
    head: HeadFlow
    pixels: Floats  # (region height, region width, 2) coordinates within the region

    def render(self, index: int, fps: Fraction, pose: Pose, config: MotionConfig) -> Image:
        """The picture at frame `index` of a stream, a fresh array."""
        source = self.lids[lid_position(index, fps, config)]
        motion = sway(index, fps, config, self.lips.mouth.width)
        moved = self.head.displacement(motion) if motion.any() else np.zeros_like(self.pixels)
        region = self._draw(source, self.pixels - moved, moved, pose)
        return paste(self.image, region, self.region)

    def _draw(self, source: Image, where: Floats, moved: Floats, pose: Pose) -> Image:
        """The region with head motion (`where` each pixel comes from) and mouth."""
        lips, flow = self.lips, self.lips.flow
        box = flow.box.within(self.region)
        rows, columns = flow.grid.shape[:2]
        step, half = flow.scale, flow.scale // 2
        # The face's own grid moves with the head: read it where each pixel comes from.
        shift = moved[box.slices][half::step, half::step]
        shift = cv2.copyMakeBorder(
            shift, 0, rows - shift.shape[0], 0, columns - shift.shape[1], cv2.BORDER_REPLICATE
        )
        grid = flow.grid - shift * np.float32(1 / step)
        layers = layers_of(lips, pose, opening=1.0).read(grid, step, (box.width, box.height))
        upper, lower = layers.shifts
        top, bottom = lips.cut
        face = where[box.slices]
        under = warp_doubled(source, face[top:bottom] + lower[top:bottom])
        face[:bottom] += upper[:bottom]
        face[bottom:] += lower[bottom:]
        result = warp_doubled(source, where)
        mouth = result[box.slices]
        there = self._placement(moved, box)
        there[1, 2] -= top
        edges = (layers.edges[0][top:bottom], layers.edges[1][top:bottom])
        over = np.ascontiguousarray(mouth[top:bottom])
        mouth[top:bottom] = join_layers(over, under, edges, lips, pose, there)
        if not pose.is_rest:
            mouth[:] = shade(np.ascontiguousarray(mouth), layers.light)
        return result

    def _placement(self, moved: Floats, box: Box) -> Floats:
        """(2, 3): canonical picture pixels -> pixels of the mouth's box, head motion included."""
        corners = self.lips.mouth.axes.to_picture(
            np.array([[self.lips.mouth.columns[0], 0], [self.lips.mouth.columns[-1], 0]])
        )
        offset = np.array([self.region.left, self.region.top])
        height, width = moved.shape[:2]
        inside = np.clip(np.round(corners - offset), 0, (width - 1, height - 1)).astype(int)
        there = corners + moved[inside[:, 1], inside[:, 0]] - offset - (box.left, box.top)
        return similarity(corners, there)


def prepare_portrait(image: Image, points: Floats) -> Portrait:
    """Compute what the face with (468, 2) landmarks `points` in `image` needs to talk."""
    height, width = image.shape[:2]
    size = (width, height)
    lips = prepare_lips(image, points)
    head, mouth = head_box(points, size), lips.flow.box
    region = Box(
        min(head.left, mouth.left),
        min(head.top, mouth.top),
        max(head.right, mouth.right),
        max(head.bottom, mouth.bottom),
    )
    lids = {
        amount: doubled(close_eyes(image, points, lips.mouth.axes, amount)[region.slices])
        for amount in {0.0, *BLINK_CURVE}
    }
    x, y = np.meshgrid(np.arange(region.width), np.arange(region.height))
    pixels = np.stack([x, y], -1).astype(np.float32)
    return Portrait(image, region, lids, lips, build_head(points, region, size), pixels)
