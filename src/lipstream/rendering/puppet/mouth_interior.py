"""What is seen between the lips, put together for each frame.

The upper teeth stay with the skull, the lower ones and the tongue ride on the jaw. A picture that
shows teeth keeps its own upper row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.rendering.puppet.mouth_geometry import Mouth
from lipstream.rendering.puppet.sprites import (
    DETAIL,
    Colours,
    SpriteCanvas,
    paint_cavity,
    paint_lower_teeth,
    paint_tongue,
    paint_upper_teeth,
)
from lipstream.rendering.puppet.warp_fields import JAW_TRAVEL

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

# (height, width, 4) RGBA, straight (not premultiplied) alpha
Sprite: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class MouthInterior:
    """The parts of one mouth, in a sprite frame that `to_canonical` places on the face."""

    cavity: Image
    lower_teeth: Sprite
    tongue: Sprite
    upper_teeth: Sprite
    to_canonical: NDArray[np.float64]  # (2, 3) sprite pixels -> canonical picture pixels
    unit: float  # sprite pixels per mouth width
    own_teeth: bool  # the upper teeth are the picture's own

    def paint(
        self, jaw: float, rounding: float, tongue: float, placement: Floats, size: tuple[int, int]
    ) -> Image:
        """The interior as seen through the lips: (height, width, 3) for `size` (width, height).

        `jaw`, `rounding` and `tongue` are 0 to 1; `placement` (2, 3) takes canonical picture
        pixels to pixels of the result.
        """
        drop = jaw * JAW_TRAVEL * self.unit
        scene = _place(self.cavity, placement, self.to_canonical, 0, size, cv2.BORDER_REPLICATE)
        lift = tongue * min(0.10, 0.5 * jaw + 0.04) * self.unit
        # Pushing the lips forward draws them down over the teeth.
        hidden = (0.18 if self.own_teeth else 0.13) * rounding * self.unit
        for sprite, shift in (
            (self.tongue, drop - lift),
            (self.lower_teeth, drop + 0.3 * hidden),
            (self.upper_teeth, -hidden),
        ):
            layer = _place(sprite, placement, self.to_canonical, shift, size, cv2.BORDER_CONSTANT)
            weight = layer[..., 3].astype(np.float32) * np.float32(1 / 255)
            paint = np.ascontiguousarray(layer[..., :3])
            scene = np.asarray(cv2.blendLinear(paint, scene, weight, 1 - weight), np.uint8)
        return scene


def paint_mouth(image: Image, points: Floats, mouth: Mouth) -> MouthInterior:
    """Paint the inside of `mouth` in the colours of the face in `image`."""
    canvas = SpriteCanvas.of(mouth)
    colours = Colours.of(image, points)
    upper = _own_teeth(image, mouth, canvas) if mouth.is_open else None
    return MouthInterior(
        canvas.shrink(paint_cavity(canvas, colours)),
        canvas.shrink(paint_lower_teeth(canvas, colours)),
        canvas.shrink(paint_tongue(canvas, colours)),
        canvas.shrink(paint_upper_teeth(canvas, colours)) if upper is None else upper,
        canvas.to_canonical,
        canvas.unit,
        upper is not None,
    )


def _own_teeth(image: Image, mouth: Mouth, canvas: SpriteCanvas) -> NDArray[np.uint8]:
    """The teeth that the picture shows, cut out between its lips: (height, width, 4) uint8.

    The row is continued upwards, since the closed canonical lips lie over part of it.
    """
    height, width = (side // DETAIL for side in canvas.x.shape)
    forward = canvas.to_canonical
    columns, rows = np.meshgrid(np.arange(width) + 0.0, np.arange(height) + 0.0)
    picture = np.stack([columns, rows], -1) @ forward[:, :2].T + forward[:, 2]
    face = mouth.axes.to_face(picture)
    across, down = face[..., 0], face[..., 1]
    upper = np.interp(across, mouth.columns, mouth.seam - mouth.upper_gap)
    lower = np.interp(across, mouth.columns, mouth.seam + mouth.lower_gap)
    kept = np.maximum(down, upper + 0.03 * mouth.width)
    where = mouth.axes.to_picture(np.stack([across, kept], -1)).astype(np.float32)
    teeth = cv2.remap(  # type: ignore[call-overload]
        image, where, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    soft = max(0.02 * mouth.width, 1.0)
    inside = np.clip((lower - 0.03 * mouth.width - down) / soft + 0.5, 0, 1)
    span = np.minimum(across - mouth.columns[0], mouth.columns[-1] - across)
    alpha = inside * np.clip(span / soft, 0, 1)
    return np.dstack([teeth, np.asarray(255 * alpha, np.uint8)])


def _place(
    sprite: NDArray[np.uint8],
    placement: Floats,
    to_canonical: NDArray[np.float64],
    shift: float,
    size: tuple[int, int],
    border: int,
) -> NDArray[np.uint8]:
    """`sprite`, moved down by `shift` sprite pixels, drawn where it belongs in the result."""
    lowered = to_canonical[:, 2] + to_canonical[:, 1] * shift
    matrix = placement[:, :2] @ to_canonical[:, :2]
    offset = placement[:, :2] @ lowered + placement[:, 2]
    return np.asarray(
        cv2.warpAffine(
            sprite,
            np.hstack([matrix, offset[:, None]]),
            size,
            flags=cv2.INTER_LINEAR,
            borderMode=border,
        ),
        np.uint8,
    )
