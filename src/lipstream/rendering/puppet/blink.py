"""Blinks of a still portrait: the upper lid with its lashes slides down over the eye."""

from __future__ import annotations

import cv2
import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Box, Floats, Image
from lipstream.rendering.puppet.mouth.geometry import FaceAxes, smoothstep
from lipstream.rendering.puppet.warp import Doubles, blend, pixel_grid, warp

# Tuned by eye on closed lids of the example faces.
TRAVEL = 0.96  # of the eye's opening; lids meet a little above the lower rim
MAX_STRETCH, MIN_STRETCH = 0.42, 0.14  # eye widths of skin above the lid that stretch
MIN_SKIN_BRIGHTNESS = 0.62  # of the median; darker is a brow or a spectacle rim: it stays still
LASH_BAND = 0.10  # eye widths along the lid that stay rigid: lashes must not smear


def close_eyes(image: Image, points: Floats, axes: FaceAxes, amount: float) -> Image:
    """Return a copy of `image` with both eyes closed by `amount`, 0 (as they are) to 1."""
    closed = image.copy()
    for lids, box in zip(lm.EYES, eye_boxes(points, image), strict=True):
        upper, lower = (axes.to_face(points[list(lid), :2]) for lid in lids)
        _close_eye(closed, box, axes, upper, lower, amount)
    return closed


def eye_boxes(points: Floats, image: Image) -> list[Box]:
    """The pixels that closing each eye may change."""
    boxes = []
    for upper, lower in lm.EYES:
        contour = points[[*upper, *lower], :2]
        (x0, y0), (x1, y1) = contour.min(0), contour.max(0)
        width = float(max(x1 - x0, y1 - y0))
        left, top = int(x0 - 0.35 * width), int(y0 - 0.75 * width)
        right, bottom = int(x1 + 0.35 * width) + 1, int(y1 + 0.40 * width) + 1
        boxes.append(Box(left, top, right, bottom).clip(image.shape[1], image.shape[0]))
    return boxes


def _close_eye(
    image: Image, box: Box, axes: FaceAxes, upper: Doubles, lower: Doubles, amount: float
) -> None:
    """Draw one eye closed; its lids are (n, 2) points in face axes."""
    upper, lower = (lid[np.argsort(lid[:, 0])] for lid in (upper, lower))
    width = float(upper[-1, 0] - upper[0, 0])
    if min(box.width, box.height) < 2 or width < 2:
        return
    pixels = pixel_grid(box)
    face = axes.to_face(pixels)
    across, down = face[..., 0], face[..., 1]
    open_edge = np.interp(across, upper[:, 0], upper[:, 1])
    gap = np.maximum(np.interp(across, lower[:, 0], lower[:, 1]) - open_edge, 0)
    gap *= (across > upper[0, 0]) & (across < upper[-1, 0])
    travel = amount * TRAVEL * gap
    edge = open_edge + travel
    height = _free_skin(image, axes, upper, width) * width
    top = open_edge - height
    stretched = top + height * np.clip((down - top) / np.maximum(edge - top, 1e-3), 0, 1)
    rigid = smoothstep(min(3 * LASH_BAND * width, 0.9 * height), 0, edge - down)
    shift = (stretched - down) * (1 - rigid) - travel * rigid
    shift = np.where((down > top) & (gap > 0), shift, 0)
    source = pixels + shift[..., None] * axes.rotation[1]
    cover = np.clip((edge - down) / 1.3 + 0.5, 0, 1) * (gap > 0)
    moved = warp(image, source.astype(np.float32))
    image[box.slices] = blend(moved, image[box.slices], cover.astype(np.float32))


def _free_skin(image: Image, axes: FaceAxes, upper: Doubles, width: float) -> float:
    """Eye widths of bare skin above the lid that may stretch, up to a brow or a spectacle rim."""
    heights = np.arange(MIN_STRETCH, MAX_STRETCH + 0.12, 0.02)
    across = np.linspace(upper[1, 0], upper[-2, 0], 24)
    lid = np.interp(across, upper[:, 0], upper[:, 1])
    rows = lid - heights[:, None] * width
    points = axes.to_picture(np.stack([np.broadcast_to(across, rows.shape), rows], -1))
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    skin = warp(grey, points.astype(np.float32), cv2.INTER_LINEAR)
    brightness = np.median(skin, axis=1)
    blocked = np.flatnonzero(brightness < MIN_SKIN_BRIGHTNESS * np.median(skin))
    if len(blocked) == 0:
        return MAX_STRETCH
    return float(np.clip(heights[blocked[0]] - 0.06, MIN_STRETCH, MAX_STRETCH))
