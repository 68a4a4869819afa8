"""A still portrait that talks: mouth, eyelids and head in one warp of the head's box."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lipstream.config import MotionConfig
from lipstream.media.image import Box
from lipstream.media.paste import paste
from lipstream.rendering.puppet.blink import close_eyes, eye_boxes
from lipstream.rendering.puppet.head_motion import Head, HeadFlow, build_head_flow
from lipstream.rendering.puppet.idle_motion import BLINK_CURVE, lid_position, sway
from lipstream.rendering.puppet.mouth_layers import (
    Layers,
    Lips,
    join_layers,
    layers_of,
    prepare_lips,
    shade,
)
from lipstream.rendering.puppet.pose import REST, Pose
from lipstream.rendering.puppet.warp import doubled, similarity, warp

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image


ZOOM = 2  # the source is kept `doubled`


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture with everything that can move in it, computed once."""

    image: Image
    region: Box  # the part of the picture that is redrawn
    lids: dict[float, Image]  # the region, doubled and RGBA, with the eyes closed so far
    lips: Lips
    head: HeadFlow
    face_motion: Floats  # (motions, grid points * 2) how the head moves the flow's grid, grid steps
    rest: Layers | None  # of the lips at rest; None where they are the picture's own
    mouth_ends: Floats  # (2, 2) the corners of the mouth, canonical pixels
    ends_motion: Floats  # (motions, 4) how the head moves them, pixels

    def render(self, index: int, fps: Fraction, pose: Pose, config: MotionConfig) -> Image:
        """The picture at frame `index` of a stream, a fresh array."""
        source = self.lids[lid_position(index, fps, config)]
        motion = sway(index, fps, config, self.lips.mouth.width)
        region = self._draw(source, motion, pose)
        return paste(self.image, region, self.region)

    def _draw(self, source: Image, motion: Floats, pose: Pose) -> Image:
        """The region, moved by the head, with the mouth on top."""
        if pose.is_rest and self.rest is None:
            return _read(source, self.head.origins(motion, ZOOM))
        lips, flow = self.lips, self.lips.flow
        box = flow.box.within(self.region)
        # The face's own grid moves with the head.
        grid = flow.grid - (motion @ self.face_motion).reshape(flow.grid.shape)
        layers = self.rest if pose.is_rest else layers_of(lips, pose, opening=1.0, zoom=ZOOM)
        assert layers is not None
        layers = layers.read(grid, flow.scale, (box.width, box.height), lips.cut)
        upper, lower = layers.shifts
        where = self.head.origins(motion, ZOOM)
        face = where[box.slices]
        # Both layers are drawn only near the line between them.
        top, bottom = lips.cut
        under = _read(source, face[top:bottom] + lower[top:bottom])
        face[:bottom] += upper[:bottom]
        face[bottom:] += lower[bottom:]
        result = _read(source, where)
        mouth = result[box.slices]
        there = self._placement(motion)
        there[1, 2] -= top
        over = np.ascontiguousarray(mouth[top:bottom])
        mouth[top:bottom] = join_layers(over, under, layers.edges, lips, pose, there)
        if not pose.is_rest:
            mouth[:] = shade(np.ascontiguousarray(mouth), layers.light)
        return result

    def _placement(self, motion: Floats) -> Floats:
        """(2, 3): canonical picture pixels -> pixels of the mouth's box, head motion included."""
        box = self.lips.flow.box
        moved = self.mouth_ends + (motion @ self.ends_motion).reshape(2, 2) - (box.left, box.top)
        return similarity(self.mouth_ends, moved).astype(np.float32)


def prepare_portrait(image: Image, points: Floats) -> Portrait:
    """Compute what the face with (468, 2) landmarks `points` in `image` needs to talk."""
    height, width = image.shape[:2]
    size = (width, height)
    lips = prepare_lips(image, points)
    head, flow = Head(points, size), lips.flow
    ends = lips.mouth.axes.to_picture(np.array([[lips.mouth.columns[i], 0.0] for i in (0, -1)]))
    around, mouth = head.box, flow.box
    region = Box(
        min(around.left, mouth.left),
        min(around.top, mouth.top),
        max(around.right, mouth.right),
        max(around.bottom, mouth.bottom),
    )
    lids = _lids(image, points, lips, region)
    return Portrait(
        image,
        region,
        lids,
        lips,
        build_head_flow(head, region),
        head.fields(flow.to_picture(flow.grid)) / np.float32(flow.scale),
        layers_of(lips, REST, opening=1.0, zoom=ZOOM) if lips.mouth.is_open else None,
        ends.astype(np.float32),
        head.fields(ends),
    )


def _lids(image: Image, points: Floats, lips: Lips, region: Box) -> dict[float, Image]:
    """The region, doubled and with a fourth channel, for each position of the eyelids.

    Four channels are read in half the time that three take.
    """
    awake = np.asarray(cv2.cvtColor(doubled(image[region.slices]), cv2.COLOR_RGB2RGBA), np.uint8)
    lids = {0.0: awake}
    height, width = image.shape[:2]
    for amount in set(BLINK_CURVE):
        closed = close_eyes(image, points, lips.mouth.axes, amount)
        lid = awake.copy()
        for eye in eye_boxes(points, image):
            # A margin for the filter that doubles; only what lies inside it is taken.
            wide = Box(eye.left - 8, eye.top - 8, eye.right + 8, eye.bottom + 8)
            wide = wide.clip(width, height).clip_to(region)
            part = doubled(closed[wide.slices])
            inner = eye.clip_to(wide)
            source, target = inner.within(wide), inner.within(region)
            lid[target.scaled(ZOOM).slices][..., :3] = part[source.scaled(ZOOM).slices]
        lids[amount] = lid
    return lids


def _read(source: Image, where: Floats) -> Image:
    """A region of the source: (height, width, 3)."""
    read = warp(source, where, cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(read, cv2.COLOR_RGBA2RGB), np.uint8)
