"""Paths along the lips, found in the picture near those of the mesh by dynamic programming."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.media.image import Floats, Image
from lipstream.rendering.puppet.warp import Doubles, Points, sample

STRANGE = 16.0  # units of CIELAB from the colour of the lip at which something is hardly one


def read_around(image: Image | Floats, points: Floats, blur: float) -> Floats:
    """Read (..., channels) of `image`, softened by `blur` pixels, at (columns, levels, 2) points.

    Some of the mouth may lie outside the picture; the nearest pixels stand in for it.
    """
    last = (image.shape[1] - 1, image.shape[0] - 1)
    x, y = np.clip(np.floor(points.min((0, 1))).astype(int) - 8, 0, last)
    right, bottom = np.clip(np.ceil(points.max((0, 1))).astype(int) + 9, (x + 1, y + 1), None)
    crop = cv2.GaussianBlur(image[y:bottom, x:right].astype(np.float32), (0, 0), blur)
    return sample(np.asarray(crop, np.float32), points - np.array([x, y], np.float32))


def edge_strength(colours: Floats, lip: Floats, reach: int) -> Doubles:
    """The (columns, levels) growth of the difference from the lip, which is 0 to 1.

    `colours` (columns, levels, 3), CIELAB, run from the lip into the mouth; those of `reach` levels
    on either side are compared with the (3,) colour `lip`. What is no lip is not compared further:
    teeth against the dark behind them would be a stronger edge.
    """
    strange = 1 - np.exp(-np.linalg.norm(colours - lip, axis=-1) / STRANGE)
    padded = np.pad(strange, ((0, 0), (reach, reach)), mode="edge")
    return np.asarray(padded[:, 2 * reach :] - padded[:, : -2 * reach], np.float64)


def cheapest_path(cost: Points, step_cost: float) -> NDArray[np.int64]:
    """The cheapest way through (columns, levels), at most one level up or down per column."""
    total = cost[0].astype(np.float64)
    came_from = np.zeros(cost.shape, np.int64)
    for column in range(1, len(cost)):
        padded = np.pad(total, 1, constant_values=np.inf)
        arrivals = np.stack([padded[:-2] + step_cost, total, padded[2:] + step_cost])
        move = arrivals.argmin(0)
        came_from[column] = np.arange(cost.shape[1]) + move - 1
        total = cost[column] + arrivals.min(0)
    path = [int(total.argmin())]
    for column in range(len(cost) - 1, 0, -1):
        path.append(int(came_from[column][path[-1]]))
    return np.array(path[::-1])
