"""Quiet landmarks over time: short gaps filled, tracker noise removed, real motion kept.

All of it happens inside one run, which is a stretch of frames of one shot with a face in each.
Points are handled as complex numbers x + iy, so a turn with a change of size is one product.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.face.landmarks import EYES, LIPS, POINTS, RIGID, eye_distance
from lipstream.media.image import Floats

Plane: TypeAlias = NDArray[np.complex128]  # (frames, points) positions x + iy

MAX_GAP = 5  # frames; a longer absence is not guessed

# Widths of the Gaussian windows in frames, and the degree of the polynomial fitted inside them.
# Degree 2 follows accelerating motion. The head's pose is the mean over the rigid points and so
# quiet already; their shape around it changes only as the head turns, so it takes the widest
# window. Lips and lids close and open within three frames and must not be blunted.
POSE = (2.0, 2)
RIGID_SHAPE = (4.0, 1)
OTHER_SHAPE = (2.0, 2)
LIP_SHAPE = (1.2, 2)
REACH = 3  # a window ends at so many widths

_LIVELY = sorted({*LIPS, *(point for lids in EYES for lid in lids for point in lid)} - {*RIGID})


def runs(present: Sequence[bool], shots: Sequence[int]) -> list[slice]:
    """Longest stretches of frames that have a face and belong to one shot, in order."""
    found: list[slice] = []
    frames = range(len(present))
    for (shows, _), group in groupby(frames, lambda index: (present[index], shots[index])):
        first, *others = group
        if shows:
            found.append(slice(first, first + len(others) + 1))
    return found


def fill_gaps(track: Sequence[Floats | None], shots: Sequence[int]) -> list[Floats | None]:
    """Faces missing for up to `MAX_GAP` frames inside a shot, on a straight line between."""
    filled = list(track)
    stretches = runs([points is not None for points in track], shots)
    for before, after in zip(stretches, stretches[1:], strict=False):
        gap = after.start - before.stop
        first, last = track[before.stop - 1], track[after.start]
        cut = shots[before.start] != shots[after.start]
        if first is None or last is None or gap > MAX_GAP or cut:
            continue
        for step in range(gap):
            share = np.float32((step + 1) / (gap + 1))
            filled[before.stop + step] = first + (last - first) * share
    return filled


def smooth(track: Sequence[Floats | None], shots: Sequence[int]) -> list[Floats | None]:
    """The same frames with quieter points; without lag, and never across a cut or a gap."""
    quiet = list(track)
    for run in runs([points is not None for points in track], shots):
        points = np.stack([points for points in track[run] if points is not None])
        quiet[run] = list(_smooth_run(points))
    return quiet


def jitter(
    track: Sequence[Floats | None], shots: Sequence[int], points: Sequence[int] = RIGID
) -> float:
    """The median second difference over the eye distance; 0 without three frames in a row."""
    found: list[float] = []
    for run in runs([face is not None for face in track], shots):
        faces = [face for face in track[run] if face is not None]
        for before, now, after in zip(faces, faces[1:], faces[2:], strict=False):
            chosen = [face[list(points), :2] for face in (before, now, after)]
            bend = np.linalg.norm(chosen[0] - 2 * chosen[1] + chosen[2], axis=1).mean()
            found.append(float(bend) / max(eye_distance(now), 1.0))
    return float(np.median(found)) if found else 0.0


def _smooth_run(points: Floats) -> Floats:
    """(frames, 468, 2 or more) -> (frames, 468, 2)."""
    plane = points[..., 0].astype(np.float64) + 1j * points[..., 1]
    reference = plane[len(plane) // 2]
    turn, shift = _poses(plane, reference)
    shape = (plane - shift[:, None]) / turn[:, None]

    turn, shift = _filter(np.stack([turn, shift], axis=1), *POSE).T
    quiet = _filter(shape, *OTHER_SHAPE)
    quiet[:, RIGID] = _filter(shape[:, RIGID], *RIGID_SHAPE)
    quiet[:, _LIVELY] = _filter(shape[:, _LIVELY], *LIP_SHAPE)
    placed = quiet * turn[:, None] + shift[:, None]
    return np.stack([placed.real, placed.imag], axis=-1).astype(np.float32)


def _poses(plane: Plane, reference: Plane) -> tuple[Plane, Plane]:
    """Turn with size, and shift of the origin, that fit the rigid points of `reference` best."""
    assert plane.shape[1] == POINTS
    fixed = reference[list(RIGID)]
    moving = plane[:, list(RIGID)]
    centred = fixed - fixed.mean()
    turn = (moving @ centred.conj()) / (np.abs(centred) ** 2).sum()
    return turn, moving.mean(axis=1) - turn * fixed.mean()


def _filter(values: Plane, width: float, degree: int) -> Plane:
    """Local polynomial regression along the first axis: no lag, and sound at both ends."""
    count = len(values)
    reach = min(int(REACH * width), count - 1)
    result = np.empty_like(values)
    for index in range(count):
        first, last = max(0, index - reach), min(count, index + reach + 1)
        offsets = np.arange(first, last) - index
        weights = _weights(offsets, width, min(degree, last - first - 1))
        result[index] = weights @ values[first:last]
    return result


def _weights(offsets: NDArray[np.int64], width: float, degree: int) -> NDArray[np.float64]:
    """The weight of each neighbour for the value at offset 0."""
    bell = np.exp(-0.5 * (offsets / width) ** 2)
    powers = np.vander(offsets / width, degree + 1, increasing=True)
    normal = powers.T @ (powers * bell[:, None])
    return np.asarray(np.linalg.solve(normal, (powers * bell[:, None]).T)[0], np.float64)
