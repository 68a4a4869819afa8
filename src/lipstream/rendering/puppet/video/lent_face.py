"""The mouth of a closed frame put over the mouths of a talker, as dubbing does.

Flow can close a mouth that is open by a few pixels; a mouth that really talks loses its lips. So
one frame of the shot with a closed mouth lends its lower face: it is placed by the head's turn in
space, moved by the new speech like a portrait's, brought to the light of each frame, and faded into
the frame's skin. The frame's own jaw is first lifted to where the reference has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Box, Floats, Image
from lipstream.rendering.puppet.mouth.flow import MouthFlow
from lipstream.rendering.puppet.mouth.geometry import MouthGeometry
from lipstream.rendering.puppet.mouth.layers import LOWER, UPPER
from lipstream.rendering.puppet.pose import Pose
from lipstream.rendering.puppet.video.alignment import ReferenceFace
from lipstream.rendering.puppet.video.cover import Cover, chin_lift, cover_lips
from lipstream.rendering.puppet.warp import Doubles, sample

LIGHT_RADIUS = 0.35  # mouth widths over which the light is averaged
MAX_GAIN = 1.8  # of the reference's brightness
GAIN_FLOOR = 6.0  # of 255, so that the ratio of two blacks is 1
ALIKE = 0.4  # of the log of colours, from the skin's median
MIN_SKIN = 0.5  # weight of a point that counts for the median


@dataclass(frozen=True, slots=True, eq=False)
class LentFace:
    """The lower face of a reference frame, ready to be put over other frames."""

    pixels: Image  # the reference frame in the flow's box
    light: Floats  # (rows, columns, 3) the same on the flow's grid, averaged
    cover: Cover
    radius: float  # grid steps over which the light is averaged
    chin: Floats  # (rows, columns, 2) by `chin_lift`

    def lifted(self, jaw: float) -> Floats:
        """(rows, columns, 2) pixels by which the grid moves with a chin that hangs by `jaw`."""
        return np.asarray(np.float32(jaw) * self.chin, np.float32)

    def lift(self, flow: MouthFlow, jaw: float, pose: Pose) -> Floats:
        """(rows, columns, 2) the way back through `pose` and through the frame's own jaw, pixels.

        `jaw` is as in `MouthAlignment`; the grid is that of the moved face. Between the two layers
        of the flow it passes gradually, under what is lent.
        """
        above, below = (flow.inverse(pose.gestures, layer) for layer in (UPPER, LOWER))
        back = above + self.cover.below[..., None] * (below - above)
        own = sample(self.lifted(jaw), flow.grid - back)
        return np.asarray(own - back * np.float32(flow.scale), np.float32)

    def coverage(self, flow: MouthFlow, pose: Pose) -> Floats:
        """(rows, columns) opacity of the reference on the grid of the face moved by `pose`."""
        before = flow.grid - flow.inverse(pose.gestures, LOWER)
        return np.asarray(self.cover.upper * sample(self.cover.lower, before), np.float32)

    def gain(self, frame: Image, box: Box, spots: Doubles) -> Floats:
        """(rows, columns, 3) factors that bring the reference to the light of `frame`.

        `spots` (rows, columns, 2) are the pixels of `frame` at the flow's grid, `box` those read.
        """
        rows, columns = self.light.shape[:2]
        size = (min(columns, box.width), min(rows, box.height))
        small = cv2.resize(frame[box.slices], size, interpolation=cv2.INTER_AREA)
        scale = np.array([size[0] / box.width, size[1] / box.height], np.float32)
        seen = sample(
            np.asarray(small, np.float32),
            ((spots - (box.left, box.top) + 0.5) * scale - 0.5).astype(np.float32),
        )
        ratio = np.log((seen + GAIN_FLOOR) / (self.light + GAIN_FLOOR))
        # What differs from the rest of the skin is a lip, a shadow or a hand, not the light.
        around = self.cover.skin > MIN_SKIN
        usual = np.median(ratio[around], 0) if around.any() else np.zeros(3)
        spread = np.abs(ratio - usual).max(-1).astype(np.float32)
        weight = self.cover.skin * np.exp(-((spread / ALIKE) ** 2))
        total = cv2.GaussianBlur(weight, (0, 0), self.radius) + 1e-4
        mean = cv2.GaussianBlur(ratio * weight[..., None], (0, 0), self.radius) / total[..., None]
        limit = np.log(MAX_GAIN)
        return np.asarray(np.exp(np.clip(mean, -limit, limit)), np.float32)


def lend_face(image: Image, face: ReferenceFace, flow: MouthFlow, lips: Doubles) -> LentFace:
    """Prepare the reference `image` to cover `lips`, (frames, points, 2) by `lifted_lips`."""
    pixels = np.ascontiguousarray(image[flow.box.slices])
    rows, columns = flow.grid.shape[:2]
    right, bottom = columns * flow.scale - flow.box.width, rows * flow.scale - flow.box.height
    padded = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    light = cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32)
    radius = LIGHT_RADIUS * face.mouth.width / flow.scale
    cover = cover_lips(face, flow, lips)
    return LentFace(pixels, light, cover, radius, chin_lift(face.mouth, flow))


def lifted_lips(mouth: MouthGeometry, flow: MouthFlow, jaw: float, back: Doubles) -> Doubles:
    """(points, 2): the outer lips of a frame brought back to the reference, its jaw lifted."""
    lower = back[list(lm.OUTER_LOWER_LIP)]
    moved = sample(chin_lift(mouth, flow), flow.to_grid(lower.astype(np.float32))[None])[0]
    return np.concatenate([back[list(lm.OUTER_UPPER_LIP)], lower - jaw * moved])
