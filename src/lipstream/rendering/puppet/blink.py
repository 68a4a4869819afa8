"""Closing the eyes of a still portrait: the upper lid with its lashes slides down over the eye."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Box
from lipstream.rendering.puppet.mouth_geometry import FaceAxes, smoothstep

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

TRAVEL = 0.96  # of the eye's opening; lids meet a little above the lower rim
STRETCH, MIN_STRETCH = 0.42, 0.14  # eye widths of skin above the lid that stretch
DARK = 0.62  # of the skin's brightness: a brow or the rim of spectacles, which must stay still
RIM = 0.10  # eye widths along the lid that stay rigid: lashes must not smear


def close_eyes(image: Image, points: Floats, axes: FaceAxes, amount: float) -> Image:
    """A copy of `image` with both eyes closed by `amount`, 0 (as they are) to 1."""
    closed = image.copy()
    if amount > 0:
        for upper, lower in lm.EYES:
            _close_eye(closed, points, axes, (upper, lower), amount)
    return closed


def eye_boxes(points: Floats, image: Image) -> list[Box]:
    """The pixels that closing each eye may change."""
    return [_eye_box(points[[*upper, *lower], :2], image) for upper, lower in lm.EYES]


def _close_eye(
    image: Image,
    points: Floats,
    axes: FaceAxes,
    lids: tuple[tuple[int, ...], tuple[int, ...]],
    amount: float,
) -> None:
    upper, lower = (axes.to_face(points[list(lid), :2]) for lid in lids)
    upper, lower = (lid[np.argsort(lid[:, 0])] for lid in (upper, lower))
    width = float(upper[-1, 0] - upper[0, 0])
    box = _eye_box(points[[*lids[0], *lids[1]], :2], image)
    if min(box.width, box.height) < 2 or width < 2:
        return
    x, y = np.meshgrid(np.arange(box.left, box.right), np.arange(box.top, box.bottom))
    face = axes.to_face(np.stack([x, y], -1))
    across, down = face[..., 0], face[..., 1]
    open_edge = np.interp(across, upper[:, 0], upper[:, 1])
    gap = np.maximum(np.interp(across, lower[:, 0], lower[:, 1]) - open_edge, 0)
    gap *= (across > upper[0, 0]) & (across < upper[-1, 0])
    travel = amount * TRAVEL * gap
    edge = open_edge + travel
    height = _free_skin(image, axes, upper, width) * width
    top = open_edge - height
    stretched = top + height * np.clip((down - top) / np.maximum(edge - top, 1e-3), 0, 1)
    rigid = smoothstep(min(3 * RIM * width, 0.9 * height), 0, edge - down)
    shift = (stretched - down) * (1 - rigid) - travel * rigid
    shift = np.where((down > top) & (gap > 0), shift, 0)
    source = np.stack([x, y], -1) + shift[..., None] * axes.rotation[1]
    moved = cv2.remap(  # type: ignore[call-overload]
        image, source.astype(np.float32), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    cover = np.clip((edge - down) / 1.3 + 0.5, 0, 1) * (gap > 0)
    weight = cover.astype(np.float32)
    image[box.slices] = cv2.blendLinear(
        moved, np.ascontiguousarray(image[box.slices]), weight, 1 - weight
    )


def _free_skin(image: Image, axes: FaceAxes, upper: NDArray[np.float64], width: float) -> float:
    """Eye widths of bare skin above the lid that may stretch, up to a brow or a spectacle rim."""
    heights = np.arange(MIN_STRETCH, STRETCH + 0.12, 0.02)
    across = np.linspace(upper[1, 0], upper[-2, 0], 24)
    lid = np.interp(across, upper[:, 0], upper[:, 1])
    rows = lid - heights[:, None] * width
    where = axes.to_picture(np.stack([np.broadcast_to(across, rows.shape), rows], -1))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    read = cv2.remap(  # type: ignore[call-overload]
        grey, where.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    brightness = np.median(read, axis=1)
    blocked = np.flatnonzero(brightness < DARK * np.median(read))
    if len(blocked) == 0:
        return STRETCH
    return float(np.clip(heights[blocked[0]] - 0.06, MIN_STRETCH, STRETCH))


def _eye_box(contour: Floats, image: Image) -> Box:
    (x0, y0), (x1, y1) = contour.min(0), contour.max(0)
    width = float(max(x1 - x0, y1 - y0))
    height, picture_width = image.shape[:2]
    return Box(
        int(x0 - 0.35 * width),
        int(y0 - 0.75 * width),
        int(x1 + 0.35 * width) + 1,
        int(y1 + 0.40 * width) + 1,
    ).clip(picture_width, height)
