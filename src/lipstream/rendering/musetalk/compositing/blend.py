"""Between the picture and the network: faces are cut out, and generated ones put back.

Agrees bit for bit with the published code for boxes inside the picture. That code blends pixels
outside the box with themselves, so only those where the mask is not zero are touched here.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as Pillow

from lipstream.media.image import Box, Image
from lipstream.rendering.musetalk.preprocess.masks import Mask

EXPAND = 1.5  # the side of the square around a face's box, in box sides
REPAINTED_FROM = 0.5  # of the square's height: above it no pixel changes
FEATHER = 0.1  # of the square's width: size of the blur, as in the published live script


@dataclass(frozen=True, slots=True, eq=False)
class BlendPlan:
    """The place of a generated face in one picture."""

    box: Box  # of the whole face; may reach beyond the picture
    region: Box  # inside both the box and the picture: the only pixels that change; may be empty
    mask: Mask  # (region height, region width), 255 takes the generated face alone


def crop_square(box: Box, expand: float = EXPAND) -> Box:
    """The square around a face's box that the mask is drawn on; it may leave the picture."""
    x, y = (box.left + box.right) // 2, (box.top + box.bottom) // 2
    half = int(max(box.width, box.height) // 2 * expand)
    return Box(x - half, y - half, x + half, y + half)


def crop_picture(picture: Image, box: Box) -> Image:
    """The pixels of `box`, black outside the picture: the input of face parsing."""
    return _cut(picture, box, cv2.BORDER_CONSTANT)


def crop_face(picture: Image, box: Box, side: int) -> Image:
    """The face at (side, side), as the face network sees it; Lanczos-4.

    Beyond the picture its edge is repeated; the published code stretches what is left to a square
    and pastes that back at full size: a distorted face.
    """
    face = _cut(picture, box, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(face, (side, side), interpolation=cv2.INTER_LANCZOS4), np.uint8)


def resize_face(face: Image, box: Box) -> Image:
    """The generated face at the size of its box; bilinear."""
    size = (box.width, box.height)
    return np.asarray(cv2.resize(face, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def blur_size(width: int, feather: float) -> int:
    """The odd size of the Gaussian kernel for a square of `width` pixels."""
    return int(feather * width // 2 * 2) + 1


def feathered_mask(mask: Mask, box: Box, square: Box, feather: float = FEATHER) -> Mask:
    """A (512, 512) mask brought to the size of `square` (of `crop_square`), cut and blurred.

    It is cut to what lies inside the face's `box` and below the middle of the square.
    """
    size = (square.width, square.height)
    resized = np.asarray(Pillow.fromarray(mask).resize(size, Pillow.Resampling.BICUBIC))
    kept = np.zeros_like(resized)
    inside = box.within(square).clip(*size)
    middle = max(inside.top, int(square.height * REPAINTED_FROM))
    lower = Box(inside.left, middle, inside.right, inside.bottom)
    kept[lower.slices] = resized[lower.slices]
    kernel = blur_size(square.width, feather)
    # Further away than the kernel there is nothing to blur.
    start, stop = lower.moved(-kernel, -kernel), lower.moved(kernel, kernel)
    reached = Box(start.left, start.top, stop.right, stop.bottom).clip(*size)
    if reached.width > 0 and reached.height > 0:
        kept[reached.slices] = cv2.GaussianBlur(kept[reached.slices], (kernel, kernel), 0)
    return kept


def plan_blend(mask: Mask, box: Box, square: Box, size: tuple[int, int]) -> BlendPlan:
    """Cut a feathered mask of `square` to the pixels that change in a picture of `size` (w, h)."""
    inside = box.clip(*size)
    within = inside.within(square).clip(square.width, square.height)
    part = mask[within.slices]
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if not rows.size:
        return BlendPlan(box, Box(inside.left, inside.top, inside.left, inside.top), part[:0, :0])
    used = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    region = used.moved(square.left + within.left, square.top + within.top)
    return BlendPlan(box, region, np.ascontiguousarray(part[used.slices]))


def blend(picture: Image, face: Image, plan: BlendPlan, weight: float = 1.0) -> tuple[Image, Box]:
    """The pixels that change and where they go; `picture` is left as it is.

    `face` may have any size. `weight` scales the mask: at 0 the picture shows alone.
    """
    if face.shape[:2] != (plan.box.height, plan.box.width):
        face = resize_face(face, plan.box)
    if not plan.mask.size:
        return picture[plan.region.slices], plan.region
    generated = face[plan.region.within(plan.box).slices]
    return mix(picture[plan.region.slices], generated, plan.mask, weight), plan.region


def mix(below: Image, above: Image, mask: Mask, scale: float = 1.0) -> Image:
    """round((below * (255 - mask) + above * mask) / 255), as Pillow does it in integers.

    OpenCV divides by 255.00001 in float32; no sum of two products lies near enough to a half for
    that to matter.
    """
    weight = mask.astype(np.float32)
    if scale != 1:
        weight *= np.float32(scale)
    return np.asarray(cv2.blendLinear(above, below, weight, 255 - weight), np.uint8)


def _cut(picture: Image, box: Box, border: int) -> Image:
    """The pixels of `box`; a view of the picture where it lies inside."""
    height, width = picture.shape[:2]
    inside = box.clip(width, height)
    if inside == box:
        return picture[box.slices]
    if inside.width <= 0 or inside.height <= 0:
        return np.zeros((box.height, box.width, 3), np.uint8)
    above, below = inside.top - box.top, box.bottom - inside.bottom
    left, right = inside.left - box.left, box.right - inside.right
    padded = cv2.copyMakeBorder(picture[inside.slices], above, below, left, right, border)
    return np.asarray(padded, np.uint8)
