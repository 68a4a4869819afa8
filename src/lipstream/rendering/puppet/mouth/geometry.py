"""The geometry of a mouth: the face's own axes and the line between the lips.

All flow of the puppet is defined on a *canonical* face: the face of the picture with its lips just
touching along one seam. `upper_gap` and `lower_gap` give how far the lips of the picture itself
stand from that seam, so a smile with open lips and a closed mouth move alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Floats, Image
from lipstream.rendering.puppet.mouth.teeth import STEPS, find_teeth
from lipstream.rendering.puppet.warp import Doubles, Points, sample

COLUMNS = 200  # samples of the lip line from corner to corner
MAX_CLOSED_GAP = 0.07  # mouth widths; the mesh reads up to 0.06 on closed lips
UPPER_SHARE = 0.35  # of an open mouth's gap is closed by the upper lip, the rest by the lower
MAX_SEAM_ERROR = 0.07  # mouth widths between the true lip line and the mesh's
# Mouth width over the distance of the outer eye corners: about 0.55 when neutral, 0.72 in a broad
# smile, as the mesh reads the example faces.
NEUTRAL_WIDTH, SMILE_RANGE = 0.56, 0.16


@dataclass(frozen=True, slots=True, eq=False)
class FaceAxes:
    """Orthonormal axes of a face in the picture: x along the eyes, y down, origin at the lips."""

    origin: Doubles  # (2,) picture pixels
    rotation: Doubles  # (2, 2) picture -> face

    def to_face(self, points: Points) -> Doubles:
        """Turn (..., 2) picture pixels into face axes."""
        return np.asarray((points - self.origin) @ self.rotation.T, np.float64)

    def to_picture(self, points: Points) -> Doubles:
        """Turn (..., 2) face axes into picture pixels."""
        return np.asarray(points @ self.rotation + self.origin, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class MouthGeometry:
    """A measured mouth; lengths in picture pixels along the face axes unless noted."""

    axes: FaceAxes
    width: float  # corner to corner
    eye_distance: float
    columns: Doubles  # (COLUMNS,) x from corner to corner, left to right
    seam: Doubles  # (COLUMNS,) y where the closed lips touch
    upper_gap: Doubles  # (COLUMNS,) from the seam up to the picture's upper lip, >= 0
    lower_gap: Doubles  # (COLUMNS,) from the seam down to its lower lip, >= 0
    chin: float  # below the origin, in mouth widths
    smile: float  # 0 neutral .. 1 broad smile

    @property
    def is_open(self) -> bool:
        """The picture shows the inside of the mouth."""
        return bool(self.upper_gap.any() or self.lower_gap.any())

    @property
    def half_widths(self) -> tuple[float, float]:
        """The distance from the origin to the left and right corner: unequal when turned."""
        return -float(self.columns[0]), float(self.columns[-1])


def measure_mouth(image: Image, points: Floats) -> MouthGeometry:
    """Measure the mouth of a face with (468, 2) landmarks `points` in `image`."""
    angle = lm.roll(points)
    cos, sin = np.cos(angle), np.sin(angle)
    origin = points[[lm.UPPER_LIP_CENTRE, lm.LOWER_LIP_CENTRE], :2].astype(np.float64).mean(0)
    axes = FaceAxes(origin, np.array([[cos, sin], [-sin, cos]]))
    width, eye_distance = lm.mouth_width(points), lm.eye_distance(points)
    # The columns from corner to corner and the inner edges of both lips at them.
    lips = (lm.INNER_UPPER_LIP, lm.INNER_LOWER_LIP)
    curves = [axes.to_face(points[list(lip), :2]) for lip in lips]
    curves = [curve[np.argsort(curve[:, 0])] for curve in curves]
    ends = min(curve[0, 0] for curve in curves), max(curve[-1, 0] for curve in curves)
    columns = np.linspace(*ends, COLUMNS)
    upper, lower = (np.interp(columns, curve[:, 0], curve[:, 1]) for curve in curves)
    teeth = _step_off_teeth(image, points, axes, columns, (upper, lower), width)
    if teeth is None and lm.mouth_gap(points) / width <= MAX_CLOSED_GAP:
        seam = _snap_to_dark_line(image, axes, columns, (upper + lower) / 2, width)
        upper_gap = lower_gap = np.zeros_like(seam)
    else:
        # The mesh's contours lie a little inside the lips' edges.
        upper, lower = teeth or (upper, lower)
        upper, lower = upper - 0.004 * width, lower + 0.010 * width
        opening = np.maximum(lower - upper, 0) * _corner_ease(columns, 0.06)
        seam = upper + UPPER_SHARE * np.maximum(lower - upper, 0)
        upper_gap, lower_gap = UPPER_SHARE * opening, (1 - UPPER_SHARE) * opening
    chin = float(axes.to_face(points[lm.CHIN, :2])[1]) / width
    smile = float(np.clip((width / eye_distance - NEUTRAL_WIDTH) / SMILE_RANGE, 0, 1))
    return MouthGeometry(
        axes, width, eye_distance, columns, seam, upper_gap, lower_gap, max(chin, 0.5), smile
    )


def _step_off_teeth(
    image: Image,
    points: Floats,
    axes: FaceAxes,
    columns: Doubles,
    edges: tuple[Doubles, Doubles],
    width: float,
) -> tuple[Doubles, Doubles] | None:
    """Move the inner edges of the lips, (COLUMNS,) each, off the teeth that the picture shows.

    None where it shows none.
    """
    upper, lower = edges
    inner = (columns > 0.75 * columns[0]) & (columns < 0.75 * columns[-1])
    middle = ((upper + lower) / 2)[inner]
    rows = middle[:, None] + STEPS * width
    grid = np.stack([np.broadcast_to(columns[inner][:, None], rows.shape), rows], -1)
    places = axes.to_picture(grid).astype(np.float32)
    steps = (upper[inner] - middle) / width, (lower[inner] - middle) / width
    row = find_teeth(image, points, places, steps)
    if row is None:
        return None
    top, bottom = (middle + border * width for border in row)
    # Outside of the columns searched the edges run on to the corners as the mesh has them.
    ease = _corner_ease(columns, 0.10)
    over, under = (
        np.interp(columns, columns[inner], shift)
        for shift in (np.minimum(top - upper[inner], 0), np.maximum(bottom - lower[inner], 0))
    )
    return upper + ease * over, lower + ease * under


def smooth_seam(mouth: MouthGeometry) -> Doubles:
    """Fit the (3,) coefficients of a parabola, highest power first, to the seam.

    It leaves out the bow of the lips and the ends that are lost in the corners.
    """
    left, right = mouth.half_widths
    inner = (mouth.columns > -0.8 * left) & (mouth.columns < 0.8 * right)
    return np.polyfit(mouth.columns[inner], mouth.seam[inner], 2)


def smoothstep(low: float, high: float, x: Points | float) -> Doubles:
    """Rise from 0 below `low` to 1 above `high` (or reversed) along a smooth cubic."""
    t = np.clip((np.asarray(x, np.float64) - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _corner_ease(columns: Doubles, share: float) -> Doubles:
    """A (COLUMNS,) weight: 0 at both corners, 1 further inside than `share` of the width."""
    span = columns[-1] - columns[0]
    inward = np.minimum(columns - columns[0], columns[-1] - columns) / span
    return smoothstep(0, share, inward)


def _snap_to_dark_line(
    image: Image, axes: FaceAxes, columns: Doubles, middle: Doubles, width: float
) -> Doubles:
    """The darkest smooth path near the mesh's lip line, by dynamic programming.

    Closed lips meet in a dark crease that the mesh misses by a few pixels; cutting anywhere else
    shows a double lip. The path is pinned to the mesh at both corners.
    """
    offsets = np.linspace(-MAX_SEAM_ERROR, MAX_SEAM_ERROR, 25) * width
    grid = np.stack([np.repeat(columns[:, None], len(offsets), 1), middle[:, None] + offsets], -1)
    points = axes.to_picture(grid).astype(np.float32)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    # Some of the mouth may lie outside the picture; the nearest pixels stand in for it.
    last = (grey.shape[1] - 1, grey.shape[0] - 1)
    x, y = np.clip(np.floor(points.min((0, 1))).astype(int) - 8, 0, last)
    right, bottom = np.clip(np.ceil(points.max((0, 1))).astype(int) + 9, (x + 1, y + 1), None)
    crop = cv2.GaussianBlur(grey[y:bottom, x:right], (0, 0), max(0.6, 0.008 * width))
    shade = sample(np.asarray(crop, np.float32), points - np.array([x, y], np.float32))
    distance = np.abs(offsets) / width
    ease = _corner_ease(columns, 0.05)[:, None]
    cost = (shade + 120 * distance) * ease + 2000 * distance * (1 - ease)
    path = _cheapest_path(cost, step_cost=3.0)
    snapped = offsets[path].astype(np.float32)[None]
    return middle + cv2.GaussianBlur(snapped, (0, 0), 4).ravel()


def _cheapest_path(cost: Points, step_cost: float) -> NDArray[np.int64]:
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
