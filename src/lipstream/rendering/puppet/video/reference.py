"""The choice of the frame of a shot that lends its mouth to the others."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from lipstream.avatar.avatar import AvatarFrame
from lipstream.avatar.face import landmarks as lm
from lipstream.avatar.face.openness import MAX_PARTED, openness
from lipstream.media.image import Floats, Image
from lipstream.rendering.puppet.mouth.geometry import COLUMNS, measure_mouth
from lipstream.rendering.puppet.warp import Doubles, sample, similarity

MAX_CANDIDATES = 8  # frames with the most closed mouths
MAX_WORSE = 0.02  # of the cost of the best candidate
MAX_COMPARED = 12  # frames of the shot that a candidate should look like
SIDE = 64  # pixels of the lower face when frames are compared


def choose_reference(frames: Sequence[AvatarFrame]) -> AvatarFrame:
    """The frame with a closed and relaxed mouth, sharp and lit like the shot; all have a face."""
    tracks = [landmarks_of(frame) for frame in frames]
    costs = _costs(tracks)
    best = sorted(range(len(frames)), key=lambda at: costs[at])[:MAX_CANDIDATES]
    candidates = [frames[at] for at in best if costs[at] <= costs[best[0]] + MAX_WORSE]
    if len(candidates) == 1:
        return candidates[0]
    steps = np.linspace(0, len(frames) - 1, min(MAX_COMPARED, len(frames))).round()
    base = landmarks_of(candidates[0])
    compared = [frames[int(at)] for at in steps]
    usual = np.median([_lower_face(one.pixels, landmarks_of(one), base) for one in compared], 0)
    skin = _skin(base)
    figures = []
    for frame in candidates:
        image, points = frame.pixels, landmarks_of(frame)  # decoded once
        strangeness = float((np.abs(_lower_face(image, points, base) - usual) * skin).sum())
        figures.append((strangeness, _sharpness(image, points), _lip_contrast(image, points)))
    # In shares of the mean, since what they amount to depends on the clip.
    strange, sharp, parted = (
        figure / max(float(figure.mean()), 1e-6) for figure in np.array(figures).T
    )
    total = strange + parted - 0.5 * sharp
    return candidates[int(total.argmin())]


def landmarks_of(frame: AvatarFrame) -> Floats:
    """The (468, 2) landmarks of a frame that has a face."""
    assert frame.landmarks is not None
    return frame.landmarks


def _costs(tracks: Sequence[Floats]) -> Doubles:
    """Low for a mouth that is closed but not pressed, in a head turned as is usual in the shot."""
    gaps = np.array([openness(points) for points in tracks])
    turns = np.array([lm.yaw(points) for points in tracks])
    heights = np.array([_lip_height(points) for points in tracks])
    relaxed = float(np.median(heights[gaps <= gaps.min() + MAX_PARTED]))
    pressed = np.maximum(relaxed - heights, 0)
    cost: Doubles = 2 * gaps + 0.3 * np.abs(turns - np.median(turns)) + 0.5 * pressed
    return cost


def _lip_height(points: Floats) -> float:
    """The red of both lips in the middle, mouth widths."""
    upper = np.linalg.norm(points[lm.UPPER_LIP_TOP] - points[lm.UPPER_LIP_CENTRE])
    lower = np.linalg.norm(points[lm.LOWER_LIP_BOTTOM] - points[lm.LOWER_LIP_CENTRE])
    return float(upper + lower) / max(lm.mouth_width(points), 1.0)


def _lip_contrast(image: Image, points: Floats) -> float:
    """The deviation of the brightness around the lip line over its mean.

    Teeth or a dark gap between the lips stand out; the mesh reads both as shut.
    """
    mouth = measure_mouth(image, points)
    columns = mouth.columns[COLUMNS // 4 : -COLUMNS // 4 : 4]
    seam = np.interp(columns, mouth.columns, mouth.seam)
    rows = seam[:, None] + np.linspace(-0.07, 0.07, 15) * mouth.width
    spots = np.stack([np.broadcast_to(columns[:, None], rows.shape), rows], -1)
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)
    seen = sample(grey, mouth.axes.to_picture(spots).astype(np.float32))
    return float(seen.std()) / max(float(seen.mean()), 1.0)


def _lower_face(image: Image, points: Floats, base: Floats) -> Floats:
    """(SIDE, SIDE) grey, 1 on average, with the head placed as in `base`."""
    matrix = _to_square(base) @ np.vstack(
        [similarity(points[list(lm.RIGID)], base[list(lm.RIGID)]), (0, 0, 1)]
    )
    small = cv2.warpAffine(
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY),
        matrix[:2],
        (SIDE, SIDE),
        flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_REPLICATE,
    )
    grey = np.asarray(small, np.float32)
    return grey / max(float(grey.mean()), 1.0)


def _to_square(base: Floats) -> Doubles:
    """The (3, 3) map that brings the lower face of `base` to a square of SIDE pixels."""
    middle = base[[lm.NOSE_BASE, lm.CHIN]].mean(0)
    scale = SIDE / (1.3 * lm.eye_distance(base))
    shift = SIDE / 2 - scale * middle
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]])


def _skin(base: Floats) -> Floats:
    """(SIDE, SIDE) 1 on the face around the lips, 0 elsewhere."""
    square = _to_square(base)
    points = base @ square[:2, :2].T + square[:2, 2]
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for part, value in ((lm.FACE_OVAL, 1), (lm.LIPS, 0)):
        outline = cv2.convexHull(np.round(points[list(part)]).astype(np.int32))
        cv2.fillConvexPoly(mask, outline, (value,))
    return mask.astype(np.float32)


def _sharpness(image: Image, points: Floats) -> float:
    """The deviation of the Laplacian from the nose to the upper lip: teeth must not count."""
    spots = points[[lm.NOSE_TIP, *lm.OUTER_UPPER_LIP]]
    (left, top), (right, bottom) = spots.min(0).astype(int), spots.max(0).astype(int) + 1
    part: Image = image[max(top, 0) : max(bottom, 1), max(left, 0) : max(right, 1)]
    if part.size == 0:
        return 0.0
    return float(cv2.Laplacian(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), cv2.CV_32F).std())
