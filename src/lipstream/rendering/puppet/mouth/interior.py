"""The interior of the mouth as seen between the lips, put together for each frame.

The upper teeth stay with the skull, the lower ones and the tongue ride on the jaw. A picture that
shows teeth keeps its own upper row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.media.image import Box, Floats, Image
from lipstream.rendering.puppet.mouth import sprites
from lipstream.rendering.puppet.mouth.colours import LUMA, MouthColours
from lipstream.rendering.puppet.mouth.flow import JAW_TRAVEL
from lipstream.rendering.puppet.mouth.geometry import MouthGeometry
from lipstream.rendering.puppet.mouth.texture import Texture
from lipstream.rendering.puppet.pose import Pose
from lipstream.rendering.puppet.warp import (
    Doubles,
    Points,
    blend,
    compose,
    pixel_grid,
    transform,
    warp,
)

SHADOW = 0.60  # of the gum's brightness
TONGUE_TRAVEL = 0.78  # of the jaw's: the tongue rises towards its root
HIDDEN_PER_HANG = 2.0  # hair also shades the teeth that it leaves free
MIN_OWN_TEETH = 0.10  # mouth widths between the lips; less shows no whole teeth

# (height, width, 4) RGBA, straight (not premultiplied) alpha
Sprite: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class MouthInterior:
    """The parts of one mouth, in a sprite frame that `to_canonical` places on the face."""

    cavity: Sprite  # opaque
    lower_teeth: Sprite
    tongue: Sprite
    upper_teeth: Sprite
    shadow: Image  # (3,) RGB of what no light reaches
    to_canonical: Doubles  # (2, 3) sprite pixels -> canonical picture pixels
    covered: float  # of the upper teeth by a moustache, mouth widths
    blur: float  # of the picture around the mouth, standard deviation in pixels
    unit: float  # sprite pixels per mouth width
    own_teeth: bool  # the upper teeth are the picture's own

    def paint(self, pose: Pose, to_result: Floats, size: tuple[int, int]) -> Image:
        """Paint the (height, width, 3) interior for a `size` of (width, height).

        `to_result` (2, 3) takes canonical picture pixels to pixels of the result.
        """
        drop = pose.jaw * JAW_TRAVEL * self.unit
        placing = compose(to_result, self.to_canonical)
        scene = _colour(_place(self.cavity, placing, 0, size, cv2.BORDER_REPLICATE))
        lift = pose.tongue * min(0.10, 0.5 * pose.jaw + 0.04) * self.unit
        # Pushing the lips forward draws them down over the teeth.
        hidden = ((0.18 if self.own_teeth else 0.13) * pose.rounding + self.covered) * self.unit
        for sprite, shift in (
            (self.tongue, TONGUE_TRAVEL * drop - lift),
            (self.lower_teeth, drop + 0.3 * hidden),
            (self.upper_teeth, -hidden),
        ):
            layer = _place(sprite, placing, shift, size, cv2.BORDER_CONSTANT)
            alpha = layer[..., 3].astype(np.float32) * np.float32(1 / 255)
            scene = blend(_colour(layer), scene, alpha)
        return scene

    def dark(self, size: tuple[int, int]) -> Image:
        """A (height, width, 3) picture of `shadow` alone, of a `size` of (width, height)."""
        (width, height), one = size, self.shadow.reshape(1, 1, 3)
        wide = cv2.copyMakeBorder(one, 0, height - 1, 0, width - 1, cv2.BORDER_REPLICATE)
        return np.asarray(wide, np.uint8)


def _place(
    sprite: Sprite, placing: Points, shift: float, size: tuple[int, int], border: int
) -> Sprite:
    """Draw `sprite` where `placing` (2, 3) takes it, moved down by `shift` sprite pixels."""
    matrix = placing.copy()
    matrix[:, 2] += matrix[:, 1] * shift
    placed = cv2.warpAffine(sprite, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(placed, np.uint8)


def _colour(sprite: Sprite) -> Image:
    return np.asarray(cv2.cvtColor(sprite, cv2.COLOR_RGBA2RGB), np.uint8)


def paint_interior(
    image: Image, points: Floats, mouth: MouthGeometry, hang: float = 0.0
) -> MouthInterior:
    """Paint the inside of `mouth` in the colours of the face in `image`.

    `hang` is how far a moustache hangs before the upper teeth, pixels.
    """
    canvas = sprites.SpriteCanvas.of(mouth, points)
    colours, texture = MouthColours.of(image, points), Texture.of(image, points)
    own = mouth.is_open and _shows_teeth(image, mouth, colours)
    upper = _own_teeth(image, mouth, canvas, colours) if own else None
    cavity = canvas.finish(sprites.paint_cavity(canvas, colours), texture)
    return MouthInterior(
        np.asarray(cv2.cvtColor(cavity, cv2.COLOR_RGB2RGBA), np.uint8),  # read faster than RGB
        canvas.finish(sprites.paint_lower_teeth(canvas, colours), texture),
        canvas.finish(sprites.paint_tongue(canvas, colours), texture),
        canvas.finish(sprites.paint_upper_teeth(canvas, colours), texture)
        if upper is None
        else upper,
        np.asarray(SHADOW * colours.gum, np.uint8),
        canvas.to_canonical,
        HIDDEN_PER_HANG * hang / mouth.width,
        texture.blur,
        canvas.unit,
        own,
    )


def _shows_teeth(image: Image, mouth: MouthGeometry, colours: MouthColours) -> bool:
    """Tell whether the picture shows enough of its upper teeth between its lips to use them."""
    middle = np.abs(mouth.columns) < 0.5 * min(mouth.half_widths)
    gap = (mouth.upper_gap + mouth.lower_gap)[middle]
    if gap.mean() < MIN_OWN_TEETH * mouth.width:
        return False
    share = np.linspace(0.15, 0.85, 12)[:, None]
    rows = (mouth.seam - mouth.upper_gap)[middle] + share * gap
    between = np.stack([np.broadcast_to(mouth.columns[middle], rows.shape), rows], -1)
    pixels = warp(image, mouth.axes.to_picture(between).astype(np.float32))
    return bool(np.mean(pixels @ LUMA > 0.75 * colours.tooth @ LUMA) > 0.4)


def _own_teeth(
    image: Image, mouth: MouthGeometry, canvas: sprites.SpriteCanvas, colours: MouthColours
) -> Sprite:
    """Cut out the teeth that the picture shows between its lips.

    The row is continued upwards, since the closed canonical lips lie over part of it.
    """
    height, width = (side // canvas.supersampling for side in canvas.x.shape)
    picture = transform(canvas.to_canonical, pixel_grid(Box(0, 0, width, height)))
    across, down = np.moveaxis(mouth.axes.to_face(picture), -1, 0)
    upper = np.interp(across, mouth.columns, mouth.seam - mouth.upper_gap)
    lower = np.interp(across, mouth.columns, mouth.seam + mouth.lower_gap)
    kept = np.maximum(down, upper + 0.03 * mouth.width)
    teeth = warp(image, mouth.axes.to_picture(np.stack([across, kept], -1)).astype(np.float32))
    soft = max(0.02 * mouth.width, 1.0)
    inside = np.clip((lower - 0.03 * mouth.width - down) / soft + 0.5, 0, 1)
    span = np.minimum(across - mouth.columns[0], mouth.columns[-1] - across)
    alpha = inside * np.clip(span / soft, 0, 1)
    # Lips that open less than in the picture shade teeth more than in the picture.
    seen = teeth[(alpha > 0.5) & (kept == down)] @ LUMA
    white = float(np.quantile(seen, 0.9)) if len(seen) else 1.0
    shade = min(float(colours.tooth @ LUMA) / max(white, 1), 1)
    return np.dstack([np.asarray(teeth * shade, np.uint8), np.asarray(255 * alpha, np.uint8)])
