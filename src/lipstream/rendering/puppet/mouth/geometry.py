"""The geometry of a mouth: the face's own axes and the line between the lips.

All flow of the puppet is defined on a *canonical* face: the face of the picture with its lips just
touching along one seam. `upper_gap` and `lower_gap` give how far the lips of the picture itself
stand from that seam, so a smile with open lips and a closed mouth move alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.avatar.face.openness import MAX_CLOSED, openness
from lipstream.media.image import Floats, Image
from lipstream.rendering.puppet.mouth.lip_paths import cheapest_path, edge_strength, read_around
from lipstream.rendering.puppet.mouth.teeth import STEPS, find_teeth
from lipstream.rendering.puppet.warp import Doubles, Points

COLUMNS = 200  # samples of the lip line from corner to corner
UPPER_SHARE = 0.35  # of an open mouth's gap is closed by the upper lip, the rest by the lower
MAX_SMILE_GAP, UPPER_JAW_SHARE = 0.18, 0.10  # mouth widths; of what the gap has beyond them
INTO_LIP, INTO_MOUTH, EDGE_LEVELS = 0.10, 0.03, 27  # where an edge is sought, mouth widths
INTO_LIP_PER_GAP = 0.35  # of a narrow gap that the mesh may have missed in each lip
REDDER, MIN_CHROMA = 1.0, 3.0  # CIELAB: lips are redder than cheeks, where there are colours
PULL, STEP_COST = 2.0, 0.05  # of an edge: per mouth width from the mesh's, per level of the path
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
    parted = openness(points) > MAX_CLOSED
    if teeth is None and not parted:
        seam = _snap_to_dark_line(image, axes, columns, (upper + lower) / 2, width)
        upper_gap = lower_gap = np.zeros_like(seam)
    else:
        upper, lower = teeth or (upper, lower)
        if parted:
            edges = (upper, lower)
            upper, lower = _snap_to_lip_edges(image, points, axes, columns, edges, width)
        # Step off the teeth.
        upper, lower = upper - 0.010 * width, lower + 0.010 * width
        opening = np.maximum(lower - upper, 0) * _corner_ease(columns, 0.03)
        share = _upper_share(float(opening.max()) / width)
        seam = upper + share * np.maximum(lower - upper, 0)
        upper_gap, lower_gap = share * opening, (1 - share) * opening
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


def _upper_share(gap: float) -> float:
    """The share of a gap of so many mouth widths that the upper lip closes.

    A smile lifts the lip; a mouth that is wider open has dropped its jaw.
    """
    smile = min(gap, MAX_SMILE_GAP)
    return (UPPER_SHARE * smile + UPPER_JAW_SHARE * (gap - smile)) / max(gap, 1e-6)


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
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    shade = read_around(grey, points, max(0.6, 0.008 * width))
    distance = np.abs(offsets) / width
    ease = _corner_ease(columns, 0.05)[:, None]
    cost = (shade + 120 * distance) * ease + 2000 * distance * (1 - ease)
    path = cheapest_path(cost, step_cost=3.0)
    snapped = offsets[path].astype(np.float32)[None]
    return middle + cv2.GaussianBlur(snapped, (0, 0), 4).ravel()


def _snap_to_lip_edges(
    image: Image,
    points: Floats,
    axes: FaceAxes,
    columns: Doubles,
    edges: Sequence[Doubles],
    width: float,
) -> list[Doubles]:
    """The inner edges of both lips, (COLUMNS,) y each, near those of the mesh, `edges`.

    The mesh reads rounded and toothy mouths short: closed by what it reads, a line of teeth would
    stay between the lips. At the true edge the colour of the lip ends.
    """
    lab = np.asarray(
        cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB), np.float32
    )
    # The mesh reads a wide mouth short by more; a gleam on the lips of a narrow one is no edge.
    gap = float((edges[1] - edges[0]).max()) / width
    offsets = np.linspace(-min(INTO_LIP, INTO_LIP_PER_GAP * gap), INTO_MOUTH, EDGE_LEVELS) * width
    distance = np.abs(offsets) / width
    ease = _corner_ease(columns, 0.10)[:, None]
    snapped = []
    for edge, lip, inward in zip(edges, _lip_colours(lab, points, width), (1, -1), strict=True):
        rows = edge[:, None] + inward * offsets
        grid = np.stack([np.repeat(columns[:, None], EDGE_LEVELS, 1), rows], -1)
        spots = axes.to_picture(grid).astype(np.float32)
        colours = read_around(lab, spots, max(0.6, 0.006 * width))
        cost = (PULL * distance - edge_strength(colours, lip, 3)) * ease
        path = cheapest_path(cost + 2000 * distance * (1 - ease), STEP_COST)
        moved = inward * offsets[path].astype(np.float32)[None]
        snapped.append(edge + cv2.GaussianBlur(moved, (0, 0), 4).ravel())
    return snapped


def _lip_colours(lab: Floats, points: Floats, width: float) -> tuple[Floats, Floats]:
    """The (3,) CIELAB colours of the upper and the lower lip."""

    def colour(spots: Sequence[int]) -> Floats:
        near = points[None, list(spots), :2].astype(np.float32)
        return np.asarray(np.median(read_around(lab, near, max(0.6, 0.01 * width))[0], 0))

    upper, lower = (colour(lip[2:-2]) for lip in (lm.MIDDLE_UPPER_LIP, lm.MIDDLE_LOWER_LIP))
    skin = colour(lm.CHEEKS)
    if upper[1] < skin[1] + REDDER and np.hypot(*skin[1:]) > MIN_CHROMA:
        upper = colour(lm.OUTER_UPPER_LIP[2:-2])  # the mesh has put the lip on the teeth
    return upper, lower
