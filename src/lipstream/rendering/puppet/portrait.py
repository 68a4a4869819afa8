"""A still portrait that talks: mouth, eyelids and head in one warp of the head's box."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from lipstream.config import MotionConfig
from lipstream.media.image import Box, Floats, Image, paste
from lipstream.rendering.puppet.blink import close_eyes, eye_boxes
from lipstream.rendering.puppet.head_motion import HeadFlow, HeadGeometry, build_head_flow
from lipstream.rendering.puppet.idle_motion import BLINK_CURVE, lid_position, sway
from lipstream.rendering.puppet.mouth.geometry import measure_mouth
from lipstream.rendering.puppet.mouth.layers import MouthLayers, MouthModel, build_mouth_model
from lipstream.rendering.puppet.pose import REST, Pose
from lipstream.rendering.puppet.warp import (
    Doubles,
    bounding_box,
    corners,
    double_resolution,
    grow,
    similarity,
    warp_planes,
)

ZOOM = 2  # of the source, which is kept at double resolution
FILTER_MARGIN = 8  # pixels that the filter which doubles may read beyond a box


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture with everything that can move in it, computed once."""

    image: Image
    region: Box  # the part of the picture that is redrawn, on even pixels
    lids: dict[float, Image]  # lid position -> the region, doubled and RGBA
    model: MouthModel
    head: HeadFlow
    face_motion: Floats  # (motions, grid points * 2) how the head moves the flow's grid, grid steps
    rest: MouthLayers | None  # of the lips at rest; None where they are the picture's own
    placing: Doubles  # (2, 3) canonical pixels -> those of the rows in which both layers are drawn
    placing_motion: Doubles  # (motions, 6) how the head moves it

    def render(self, index: int, fps: Fraction, pose: Pose, config: MotionConfig) -> Image:
        """Draw frame `index` of a stream, a fresh array."""
        return paste(self.image, self.render_part(index, fps, pose, config), self.region)

    def render_part(self, index: int, fps: Fraction, pose: Pose, config: MotionConfig) -> Image:
        """Draw the region of frame `index`: (height, width, 3)."""
        source = self.lids[lid_position(index, fps, config)]
        motion = sway(index, fps, config, self.model.mouth.width)
        return self._draw(source, motion, pose)

    def _draw(self, source: Image, motion: Floats, pose: Pose) -> Image:
        points = self.head.sources(motion, ZOOM)
        if pose.is_rest and self.rest is None:
            return _read(source, points)
        model, flow = self.model, self.model.flow
        box = flow.box.within(self.region)
        # The face's own grid moves with the head.
        grid = flow.grid - (motion @ self.face_motion).reshape(flow.grid.shape)
        opening = float(self.rest is not None)
        layers = self.rest if pose.is_rest else model.layers(pose, opening, ZOOM)
        assert layers is not None
        layers = layers.read(grid, flow.scale, (box.width, box.height), model.cut)
        upper, lower = layers.shifts
        rows, columns = box.slices
        face = points[:, rows, columns]
        # Both layers are drawn only near the line between them.
        top, bottom = model.cut
        under = _read(source, face[:, top:bottom] + lower[:, : bottom - top])
        face[:, :bottom] += upper
        face[:, bottom:] += lower[:, bottom - top :]
        result = _read(source, points)
        mouth = result[box.slices]
        # The mouth moves with the head.
        placing = (self.placing + (motion @ self.placing_motion).reshape(2, 3)).astype(np.float32)
        mouth[top:bottom] = model.join(mouth[top:bottom], under, layers, pose, placing)
        if not pose.is_rest:
            mouth[:] = layers.shade(np.ascontiguousarray(mouth))
        return result


def prepare_portrait(image: Image, points: Floats) -> Portrait:
    """Compute what the face with (468, 2) landmarks `points` in `image` needs to talk."""
    mouth = measure_mouth(image, points)
    model = build_mouth_model(image, points, mouth)
    head, flow = HeadGeometry(points, (image.shape[1], image.shape[0])), model.flow
    ends = mouth.axes.to_picture(np.array([[mouth.columns[i], 0.0] for i in (0, -1)]))
    corner = np.array([flow.box.left, flow.box.top + model.cut[0]])
    # A similarity is linear in the points that it leads to.
    turns = [similarity(ends, moved.reshape(2, 2)) for moved in head.fields(ends)]
    both = np.concatenate([corners(head.box), corners(flow.box)])
    region = bounding_box(both, head.size).on_even_pixels(*head.size)
    return Portrait(
        image,
        region,
        _eyelid_images(image, points, model, region),
        model,
        build_head_flow(head, region),
        head.fields(flow.to_picture(flow.grid)) / np.float32(flow.scale),
        model.layers(REST, opening=1.0, zoom=ZOOM) if mouth.is_open else None,
        similarity(ends, ends - corner),
        np.stack([turn.ravel() for turn in turns]),
    )


def _eyelid_images(
    image: Image, points: Floats, model: MouthModel, region: Box
) -> dict[float, Image]:
    """The region, doubled and with a fourth channel, for each position of the eyelids.

    Four channels are read in half the time that three take.
    """
    doubled = double_resolution(image[region.slices])
    awake = np.asarray(cv2.cvtColor(doubled, cv2.COLOR_RGB2RGBA), np.uint8)
    lids = {0.0: awake}
    height, width = image.shape[:2]
    for amount in set(BLINK_CURVE):
        closed = close_eyes(image, points, model.mouth.axes, amount)
        lids[amount] = lid = awake.copy()
        for eye in eye_boxes(points, image):
            wide = grow(eye, FILTER_MARGIN).clip(width, height).clip_to(region)
            part = double_resolution(closed[wide.slices])
            inner = eye.clip_to(wide)
            source, target = inner.within(wide), inner.within(region)
            lid[target.scaled(ZOOM).slices][..., :3] = part[source.scaled(ZOOM).slices]
    return lids


def _read(source: Image, points: Floats) -> Image:
    """Read the RGBA source at (2, height, width) points: (height, width, 3)."""
    moved = warp_planes(source, points)
    return np.asarray(cv2.cvtColor(moved, cv2.COLOR_RGBA2RGB), np.uint8)
