"""A painted face put back into its picture, in plain numpy and in the way of the published script.

The first is what both sides are compared through, and what a machine without OpenCV and Pillow
has; the second belongs to the baseline.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from lipstream.bench.workload import Place
from lipstream.media.image import Box

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

EXPAND = 1.5  # the side of the square that the published script cuts out, in boxes


def published_is_there() -> bool:
    """Whether the published way can be gone here: it needs OpenCV and Pillow."""
    return find_spec("cv2") is not None and find_spec("PIL") is not None


def compose(picture: Image, face: Image, place: Place) -> Image:
    """A copy of `picture` with `face`, of any size, where `place` says; in numpy alone."""
    painted = resize(face, place.box.width, place.box.height)[place.region.within(place.box).slices]
    result = picture.copy()
    below = result[place.region.slices].astype(np.float32)
    weight = place.mask[..., None].astype(np.float32)
    mixed = (below * (255 - weight) + painted * weight) / 255
    result[place.region.slices] = np.rint(mixed).astype(np.uint8)
    return result


def resize(face: Image, width: int, height: int) -> Floats:
    """Bilinear, between the centres of pixels; whole numbers as floats."""
    rows, below = _between(len(face), height)
    columns, right = _between(face.shape[1], width)
    tall = _mixed(face.astype(np.float32), rows, below[:, None, None], axis=0)
    wide = _mixed(tall, columns, right[None, :, None], axis=1)
    return np.asarray(np.rint(wide), np.float32)


def _between(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """For each new pixel the old one before it and the share of the one after."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    before = np.minimum(centres.astype(int), max(old - 2, 0))
    return before, (centres - before).astype(np.float32)


def _mixed(values: Floats, before: np.ndarray, share: Floats, axis: int) -> Floats:
    after = np.minimum(before + 1, values.shape[axis] - 1)
    first, second = values.take(before, axis), values.take(after, axis)
    return np.asarray(first + (second - first) * share, np.float32)


def compose_as_published(picture: Image, face: Image, place: Place) -> Image:
    """The road of the published live script: the whole picture through Pillow, copies and all."""
    import cv2
    from PIL import Image as Pillow

    square = _square(place.box)
    mask = Pillow.new("L", (square.width, square.height))
    offset = place.region.within(square)
    mask.paste(Pillow.fromarray(place.mask), (offset.left, offset.top))
    fitted = cv2.resize(face, (place.box.width, place.box.height))
    body = Pillow.fromarray(picture.copy()[:, :, ::-1])  # it works on BGR and turns it around
    cut = body.crop((square.left, square.top, square.right, square.bottom))
    corner = place.box.within(square)
    cut.paste(Pillow.fromarray(fitted[:, :, ::-1]), (corner.left, corner.top))
    body.paste(cut, (square.left, square.top), mask)
    return np.asarray(np.array(body)[:, :, ::-1], np.uint8)


def _square(box: Box) -> Box:
    half = int(max(box.width, box.height) // 2 * EXPAND)
    x, y = (box.left + box.right) // 2, (box.top + box.bottom) // 2
    return Box(x - half, y - half, x + half, y + half)
