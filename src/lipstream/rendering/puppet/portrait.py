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
from lipstream.rendering.puppet.warp import doubled, similarity, warp
from lipstream.video import Box

if TYPE_CHECKING:
    from lipstream.video import Floats, Image


ZOOM = 2  # the source is kept `doubled`


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture with everything that can move in it, computed once."""

    image: Image
    region: Box  # the part of the picture that is redrawn
    lids: dict[float, Image]  # the region, doubled, with the eyes closed so far
    lips: Lips
    head: HeadFlow

    def render(self, index: int, fps: Fraction, pose: Pose, config: MotionConfig) -> Image:
        """The picture at frame `index` of a stream, a fresh array."""
        source = self.lids[lid_position(index, fps, config)]
        motion = sway(index, fps, config, self.lips.mouth.width)
        region = self._draw(source, self.head.origins(motion, ZOOM), pose)
        return paste(self.image, region, self.region)

    def _draw(self, source: Image, where: Floats, pose: Pose) -> Image:
        """The region, its pixels coming from `where` in `source`, with the mouth on top."""
        lips, box = self.lips, self.lips.flow.box.within(self.region)
        face = where[box.slices]
        there = self._placement(face, box)
        layers = layers_of(lips, pose, opening=1.0, zoom=ZOOM).read(
            self._face_grid(face, box), lips.flow.scale, (box.width, box.height)
        )
        upper, lower = layers.shifts
        # Both layers are drawn only near the line between them.
        top, bottom = lips.cut
        under = warp(source, face[top:bottom] + lower[top:bottom], cv2.INTER_LINEAR)
        face[:bottom] += upper[:bottom]
        face[bottom:] += lower[bottom:]
        result = warp(source, where, cv2.INTER_LINEAR)
        mouth = result[box.slices]
        there[1, 2] -= top
        edges = (layers.edges[0][top:bottom], layers.edges[1][top:bottom])
        over = np.ascontiguousarray(mouth[top:bottom])
        mouth[top:bottom] = join_layers(over, under, edges, lips, pose, there)
        if not pose.is_rest:
            mouth[:] = shade(np.ascontiguousarray(mouth), layers.light)
        return result

    def _face_grid(self, face: Floats, box: Box) -> Floats:
        """Grid coordinates of the flow for each of its cells: the face moves with the head."""
        flow = self.lips.flow
        step, half = flow.scale, flow.scale // 2
        rows, columns = flow.grid.shape[:2]
        origin = face[half::step, half::step] / np.float32(ZOOM) - (box.left, box.top)
        # The last cells may lie half outside the box.
        missing = ((0, rows - origin.shape[0]), (0, columns - origin.shape[1]), (0, 0))
        origin = np.pad(origin.astype(np.float32), missing, mode="edge")
        return (origin - np.float32(half)) / np.float32(step)

    def _placement(self, face: Floats, box: Box) -> Floats:
        """(2, 3): canonical picture pixels -> pixels of the mouth's box, head motion included."""
        mouth = self.lips.mouth
        ends = mouth.axes.to_picture(np.array([[mouth.columns[i], 0.0] for i in (0, -1)]))
        corners = ends - (self.lips.flow.box.left, self.lips.flow.box.top)
        x, y = np.clip(np.round(corners), 0, (box.width - 1, box.height - 1)).astype(int).T
        origin = face[y, x] / ZOOM - (box.left, box.top)
        moved = corners + (np.stack([x, y], -1) - origin)
        return similarity(ends, moved).astype(np.float32)


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
    return Portrait(image, region, lids, lips, build_head(points, region, size))
