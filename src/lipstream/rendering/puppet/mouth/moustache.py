"""A moustache over the lips: how far it hangs below the line where the upper layer is cut.

Hair has no edge. Cut along the lips it looks like cardboard, so its own strands bound the layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Box, Floats, Image
from lipstream.rendering.puppet.mouth.colours import LUMA
from lipstream.rendering.puppet.mouth.geometry import MouthGeometry, smoothstep
from lipstream.rendering.puppet.warp import Doubles, sample

# Beside the groove of the upper lip, mouth widths from its middle.
BESIDE = (-0.30, -0.20, 0.20, 0.30)
PATCH = (0.10, 0.06)  # half width and height of the skin looked at, mouth widths
# Detail per brightness over the cheek's: up to 0.022 in bare lips, 0.034 in stubble, 0.05 in the
# two painted moustaches tried.
BARE, HAIRY = 0.034, 0.050
# Distance in tint between what is just above the mouth and the hair: a red lip is 0.5 and more.
SAME_TINT, OTHER_TINT = 0.42, 0.60
REACH, STRANDS = 0.025, 0.022  # mouth widths by which it hangs down in the mean, and as strands


@dataclass(frozen=True, slots=True, eq=False)
class _Surroundings:
    """The picture around a mouth, as its face axes see it."""

    mouth: MouthGeometry
    corner: Doubles  # (2,) picture pixels of the first pixel
    colour: Floats  # (height, width, 3), soft
    fine: Floats  # (height, width) brightness
    coarse: Floats  # likewise, without hairs

    @staticmethod
    def of(image: Image, mouth: MouthGeometry) -> _Surroundings:
        reach = 1.6 * mouth.width
        (left, top), (right, bottom) = mouth.axes.origin - reach, mouth.axes.origin + reach
        box = Box(int(left), int(top), int(right) + 1, int(bottom) + 1)
        box = box.clip(image.shape[1], image.shape[0])
        near = image[box.slices].astype(np.float32)
        grey = cv2.cvtColor(near, cv2.COLOR_RGB2GRAY)
        colour, fine, coarse = (
            np.asarray(cv2.GaussianBlur(plane, (0, 0), max(least, share * mouth.width)), np.float32)
            for plane, least, share in ((near, 1.0, 0.02), (grey, 0.6, 0.008), (grey, 1.5, 0.03))
        )
        return _Surroundings(mouth, np.array([box.left, box.top], float), colour, fine, coarse)

    def read(self, plane: Floats, x: Doubles, y: Doubles) -> Floats:
        """Read `plane` at face axes: (n,) or (n, 3)."""
        places = self.mouth.axes.to_picture(np.stack([x.ravel(), y.ravel()], -1)) - self.corner
        return np.asarray(sample(plane, places.astype(np.float32)[None])[0], np.float32)

    def detail(self, centre: Floats) -> float:
        """The contrast of detail of the size of hairs around `centre`, per brightness."""
        half_width, half_height = (share * self.mouth.width for share in PATCH)
        x, y = self.mouth.axes.to_face(centre)
        grid = np.meshgrid(
            np.linspace(x - half_width, x + half_width, 40),
            np.linspace(y - half_height, y + half_height, 30),
        )
        fine, coarse = (self.read(plane, *grid) for plane in (self.fine, self.coarse))
        return float((fine - coarse).std() / max(float(fine.mean()), 1))

    def tint(self, height: float) -> Doubles:
        """The (3,) median colour, of brightness 1, mouth widths above the lips."""
        mouth = self.mouth
        left, right = mouth.half_widths
        inner = (mouth.columns > -0.6 * left) & (mouth.columns < 0.6 * right)
        rows = (mouth.seam - mouth.upper_gap)[inner] - height * mouth.width
        colour = np.median(self.read(self.colour, mouth.columns[inner], rows), 0)
        return np.asarray(colour / max(float(colour @ LUMA), 1), np.float64)


def measure_moustache(image: Image, points: Floats, mouth: MouthGeometry) -> Doubles:
    """Measure how far hair hangs below the upper lip at each of the mouth's columns.

    Returns (COLUMNS,) pixels >= 0: all 0 where the lip is bare or red below the hair.
    """
    near = _Surroundings.of(image, mouth)
    amount = _hair(near, points)
    if amount <= 0:
        return np.zeros_like(mouth.columns)
    rows = mouth.seam - mouth.upper_gap - 0.05 * mouth.width
    along = near.read(near.fine, mouth.columns, rows)
    strands = along - cv2.GaussianBlur(along[None], (0, 0), 12)[0]
    strands = np.clip(strands / max(float(strands.std()), 1.0), -1.5, 1.5)
    left, right = mouth.half_widths
    out = np.abs(mouth.columns) / np.where(mouth.columns < 0, left, right)
    hang = amount * (REACH + STRANDS * strands) * mouth.width * smoothstep(1.0, 0.75, out)
    return np.asarray(np.maximum(hang, 0))


def _hair(near: _Surroundings, points: Floats) -> float:
    """The amount of hair that hides the upper lip, 0 to 1."""
    mouth = near.mouth
    lip = 0.45 * points[lm.NOSE_BASE, :2] + 0.55 * points[lm.UPPER_LIP_TOP, :2]
    across = mouth.axes.rotation[0] * mouth.width
    hair = np.mean([near.detail(lip + step * across) for step in BESIDE])
    skin = np.median([near.detail(points[index, :2]) for index in lm.CHEEKS])
    amount = float(smoothstep(BARE, HAIRY, float(hair - skin)))
    change = float(np.abs(near.tint(0.05) - near.tint(0.20)).sum())
    return amount * float(smoothstep(OTHER_TINT, SAME_TINT, change))
