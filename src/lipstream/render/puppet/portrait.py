"""A still portrait that talks: mouth, eyelids and head in one warp of the head's box."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lipstream.config import MotionConfig
from lipstream.render.composite import paste
from lipstream.render.puppet.eyelids import close_eyes
from lipstream.render.puppet.head import HeadFlow, build_head, head_box
from lipstream.render.puppet.life import BLINK_CURVE, lid_position, sway
from lipstream.render.puppet.lips import Lips, blend_mouth, layers_of, prepare_lips
from lipstream.render.puppet.pose import Pose
from lipstream.video import Box

if TYPE_CHECKING:
    from lipstream.video import Floats, Image


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture with everything that can move in it, computed once."""

    image: Image
    region: Box  # the part of the picture that is redrawn
    lids: dict[float, Image]  # the region with the eyes closed so far
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
        box = _within(flow.box, self.region)
        rows, columns = flow.grid.shape[:2]
        step, half = flow.scale, flow.scale // 2
        layers = layers_of(lips, pose, opening=1.0)
        # The face's own grid moves with the head: read it where each pixel comes from.
        shift = moved[box.slices][half::step, half::step]
        shift = cv2.copyMakeBorder(
            shift, 0, rows - shift.shape[0], 0, columns - shift.shape[1], cv2.BORDER_REPLICATE
        )
        grid = flow.grid - shift * np.float32(1 / step)
        upper, lower = (
            _enlarge(cv2.remap(layer, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), step, box)  # type: ignore[call-overload]  # noqa: E501
            for layer in (layers.upper, layers.lower)
        )
        face = where[box.slices].copy()
        where[box.slices] += upper[..., :2]
        result = _warp(source, where)
        under = _warp(source, face + lower[..., :2])
        mouth = blend_mouth(
            np.ascontiguousarray(result[box.slices]),
            under,
            (upper[..., 2], lower[..., 2]),
            lips,
            pose,
            self._placement(moved, box),
        )
        if not pose.is_rest:
            light = np.where(upper[..., 2] > 0, upper[..., 3], lower[..., 3])
            mouth = _shade(mouth, light)
        result[box.slices] = mouth
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
        amount: np.ascontiguousarray(
            close_eyes(image, points, lips.mouth.axes, amount)[region.slices]
        )
        for amount in {0.0, *BLINK_CURVE}
    }
    x, y = np.meshgrid(np.arange(region.width), np.arange(region.height))
    pixels = np.stack([x, y], -1).astype(np.float32)
    return Portrait(image, region, lids, lips, build_head(points, region, size), pixels)


def similarity(source: np.ndarray, target: np.ndarray) -> Floats:
    """(2, 3) rotation, scale and shift that takes two points (2, 2) to two others."""
    a, b = (points[1] - points[0] for points in (source, target))
    turn = complex(*b) / complex(*a)
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.hstack([matrix, (target[0] - matrix @ source[0])[:, None]]).astype(np.float32)


def _within(box: Box, region: Box) -> Box:
    return Box(
        box.left - region.left,
        box.top - region.top,
        box.right - region.left,
        box.bottom - region.top,
    )


def _enlarge(layer: Floats, step: int, box: Box) -> Floats:
    rows, columns = layer.shape[:2]
    fine = cv2.resize(layer, (columns * step, rows * step), interpolation=cv2.INTER_LINEAR)
    return np.asarray(fine[: box.height, : box.width])


def _warp(source: Image, where: Floats) -> Image:
    """Bicubic: bilinear would soften the picture with every sub-pixel of sway."""
    return cv2.remap(  # type: ignore[call-overload,no-any-return]
        source, where, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def _shade(image: Image, light: Floats) -> Image:
    factor = cv2.convertScaleAbs(light, alpha=128)
    return cv2.multiply(image, cv2.merge([factor] * 3), scale=1 / 128)  # type: ignore[return-value]
