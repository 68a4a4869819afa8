"""One shot of a clip with its mouth, which is drawn over any frame of the shot."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lipstream.media.image import Box, Floats, Image, paste
from lipstream.rendering.puppet.mouth.layers import MouthLayers, MouthModel
from lipstream.rendering.puppet.pose import Pose
from lipstream.rendering.puppet.video.alignment import MouthAlignment
from lipstream.rendering.puppet.video.lent_face import LentFace
from lipstream.rendering.puppet.warp import (
    Doubles,
    blend,
    bounding_box,
    compose,
    enlarge,
    pixel_grid,
    sample,
    warp,
)

DEPTH_ROUNDS = 2  # of finding the point that shows at a pixel: its depth is that of the point


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """The mouth of one reference frame, and the depth of the face around it."""

    model: MouthModel
    depth: Floats  # (rows, columns) on the flow's grid, reference pixels
    lip_plane: Doubles  # (3,) around the lips the depth is this @ (x, y, 1)
    lent: LentFace | None  # None where all frames keep their own lips

    def draw(self, picture: Image, alignment: MouthAlignment, pose: Pose) -> Image:
        """Draw the mouth in `pose` over that of `picture`, a frame of this shot."""
        spots = self._spots(alignment).reshape(-1, 2)
        box = bounding_box(spots, (picture.shape[1], picture.shape[0]))
        if box.width < 2 or box.height < 2:
            return picture.copy()
        view = self._view(alignment, pose, box)
        if self.lent is None or alignment.redrawn < 1:
            mouth = self._own_lips(picture, view)
        else:
            mouth = self._own_face(picture, view, self.lent)
        if self.lent is not None and alignment.redrawn > 0:
            mouth = self._redraw(mouth, picture, view, self.lent)
        return paste(picture, mouth if pose.is_rest else view.layers.shade(mouth), box)

    def _view(self, alignment: MouthAlignment, pose: Pose, box: Box) -> _View:
        flow = self.model.flow
        points = self._reference_points(alignment, pixel_grid(box, flow.scale))
        grid, size = flow.to_grid(points), (box.width, box.height)
        # A mouth that is open in the reference is never shown as the frame's own.
        layers = self.model.layers(pose, opening=float(self.model.mouth.is_open))
        read = layers.read(grid, flow.scale, size, (0, box.height))
        return _View(alignment, pose, box, points, grid, flow.scale, read)

    def _own_lips(self, picture: Image, view: _View) -> Image:
        """The frame's own lips, moved."""
        return self._joined(picture, view.pixels, self._turn(view.alignment), view)

    def _own_face(self, picture: Image, view: _View, lent: LentFace) -> Image:
        """The frame's own face around what is lent, its jaw first lifted and then moved."""
        back = view.fine(lent.lift(self.model.flow, view.alignment.jaw, view.pose))
        return warp(picture, view.pixels + back @ self._turn(view.alignment))

    def _redraw(self, face: Image, picture: Image, view: _View, lent: LentFace) -> Image:
        """Lay the reference's lips over `face`, in the light of `picture`."""
        alignment, flow = view.alignment, self.model.flow
        corner = np.array([flow.box.left, flow.box.top], np.float32)
        at = enlarge(view.points - corner, view.step, (view.box.width, view.box.height))
        lips = self._joined(lent.pixels, at, np.eye(2, dtype=np.float32), view)
        spots = self._spots(alignment, lent.lifted(alignment.jaw))
        gain = view.fine(lent.gain(picture, view.box, spots))
        cover = view.fine(lent.coverage(flow, view.pose)) * np.float32(alignment.redrawn)
        return blend(np.asarray(np.clip(lips * gain, 0, 255), np.uint8), face, cover)

    def _joined(self, source: Image, at: Floats, turn: Floats, view: _View) -> Image:
        """The moved mouth read from `source`; `at` are the pixels of the unmoved one there."""
        shifts = (np.asarray(cv2.merge([*shift]), np.float32) for shift in view.layers.shifts)
        upper, lower = (warp(source, at + shift @ turn) for shift in shifts)
        to_box = self._to_box(view.alignment, view.box)
        return self.model.join(upper, lower, view.layers, view.pose, to_box)

    def _turn(self, alignment: MouthAlignment) -> Floats:
        """The (2, 2) that takes shifts in the reference, as rows, to shifts in the frame."""
        matrix: Floats = alignment.head.flattened(self.lip_plane)[:, :2].T.astype(np.float32)
        return matrix

    def _spots(self, alignment: MouthAlignment, moved: Floats | float = 0.0) -> Doubles:
        """The (rows, columns, 2) pixels of a frame at which the flow's grid shows.

        The grid is first `moved`, in pixels of the reference.
        """
        flow = self.model.flow
        points = flow.to_picture(flow.grid) + _wander(flow.skin_follow, alignment) + moved
        return alignment.head.place(points, self.depth)

    def _reference_points(self, alignment: MouthAlignment, pixels: Doubles) -> Floats:
        """The (..., 2) points of the reference that show at `pixels` of a frame."""
        flow, head = self.model.flow, alignment.head
        depth = np.full(pixels.shape[:2], self.depth.mean())
        points = head.take_back(pixels, depth).astype(np.float32)
        for _ in range(DEPTH_ROUNDS):
            depth = sample(self.depth, flow.to_grid(points))
            points = head.take_back(pixels, depth).astype(np.float32)
        follow = sample(flow.skin_follow, flow.to_grid(points))
        return np.asarray(points - _wander(follow, alignment), np.float32)

    def _to_box(self, alignment: MouthAlignment, box: Box) -> Floats:
        """The (2, 3) map of reference pixels to the box's, for what moves with the mouth."""
        mouth = self.model.mouth
        across = mouth.axes.rotation[0] / (mouth.width / 2)
        stretch = np.outer(alignment.stretch, across)
        shift = alignment.shift - stretch @ mouth.axes.origin
        wander = np.hstack([np.eye(2) + stretch, shift[:, None]])
        matrix = compose(alignment.head.flattened(self.lip_plane), wander).astype(np.float32)
        matrix[:, 2] -= (box.left, box.top)
        return matrix


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """One frame to be drawn: the part of it that changes, and the reference as it shows there."""

    alignment: MouthAlignment
    pose: Pose
    box: Box
    points: Floats  # (rows, columns, 2) of the reference at every `step` pixels of the box
    grid: Floats  # the same in coordinates of the flow's grid
    step: int
    layers: MouthLayers  # of the pose, at the pixels of the box

    @property
    def pixels(self) -> Floats:
        """(height, width, 2) of the box."""
        return pixel_grid(self.box).astype(np.float32)

    def fine(self, field: Floats) -> Floats:
        """Read a field on the flow's grid at every pixel of the box."""
        return enlarge(sample(field, self.grid), self.step, (self.box.width, self.box.height))


def _wander(follow: Floats, alignment: MouthAlignment) -> Doubles:
    """(rows, columns, 2) the mouth's own motion over the face, reference pixels."""
    return follow[..., :1] * alignment.shift + follow[..., 1:] * alignment.stretch
