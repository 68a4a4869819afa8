"""The place of a shot's reference mouth in each of its frames, steady while the person talks.

The reference frame's landmarks have a depth, so its head is placed in another frame by a turn in
space, a size and a shift that are fitted to points that speech does not move. The lips take no
part: a mouth placed by them would dance to the clip's own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.avatar.face.openness import parted
from lipstream.media.image import Floats
from lipstream.rendering.puppet.mouth.geometry import UPPER_SHARE, FaceAxes, MouthGeometry
from lipstream.rendering.puppet.warp import Doubles, Points
from lipstream.timeline import FPS

NOSE_BOTTOM = (lm.NOSE_BASE, 98, 327)  # next to the mouth, and not moved by it
CHIN_POINTS = (148, 152, 377)
# Frames at 25 a second.
FADE_FRAMES = 6  # from the clip's own lips to the reference's and back
CALM_FRAMES = 8.0  # standard deviation over which the width of the mouth is averaged
SKIN_FRAMES = 1.5  # likewise for the skin above the lips, which hardly moves in speech
JAW_FRAMES = 0.8  # likewise for the chin, which must follow the clip's own jaw
MIN_DROP, MAX_DROP = -0.1, 0.55  # mouth widths, of a chin against the reference's


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A head in space, seen from afar: pixels of the reference frame and depth -> pixels."""

    matrix: Doubles  # (2, 2) of x and y
    depth: Doubles  # (2,) of the depth
    offset: Doubles  # (2,)

    def place(self, points: Points, depth: Points) -> Doubles:
        """Turn (..., 2) pixels of the reference with (...) depths into the frame's."""
        turned = points @ self.matrix.T + np.asarray(depth)[..., None] * self.depth
        return np.asarray(turned + self.offset, np.float64)

    def take_back(self, points: Points, depth: Points) -> Doubles:
        """The (..., 2) pixels of the reference, at (...) depths, that show at `points`."""
        flat = points - self.offset - np.asarray(depth)[..., None] * self.depth
        return np.asarray(flat @ np.linalg.inv(self.matrix).T, np.float64)

    def flattened(self, plane: Doubles) -> Doubles:
        """The (2, 3) map where the depth is `plane` @ (x, y, 1)."""
        linear = self.matrix + np.outer(self.depth, plane[:2])
        return np.hstack([linear, (self.offset + self.depth * plane[2])[:, None]])


@dataclass(frozen=True, slots=True, eq=False)
class MouthAlignment:
    """The place of the reference mouth in one frame, and what of the frame's own is shown."""

    head: Head
    shift: Doubles  # (2,) reference pixels of the mouth against the head
    stretch: Doubles  # (2,) the same per half mouth width sidewards
    jaw: float  # how far the frame's own chin hangs, mouth widths
    redrawn: float  # 0: the frame's own lips are moved, 1: the reference's are put over them


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceFace:
    """The landmarks of the frame whose mouth is shown in a whole shot."""

    points: Doubles  # (468, 2) pixels
    depth: Doubles  # (468,) pixels, towards the viewer negative
    mouth: MouthGeometry

    @property
    def lip_plane(self) -> Doubles:
        """The (3,) plane through the lips: depth = plane @ (x, y, 1)."""
        lips = list(lm.LIPS)
        at = np.hstack([self.points[lips], np.ones((len(lips), 1))])
        return np.asarray(np.linalg.lstsq(at, self.depth[lips], rcond=None)[0], np.float64)


def align(
    face: ReferenceFace, frames: Sequence[Floats], fps: Fraction = FPS
) -> list[MouthAlignment]:
    """Align `face` with the (468, 2) landmarks of each of the frames of its shot, in order."""
    pace = float(fps / FPS)
    heads = [_place_head(face, points) for points in frames]
    back = [head.take_back(points, face.depth) for head, points in zip(heads, frames, strict=True)]
    weights = _redrawn(face.mouth, frames, max(round(FADE_FRAMES * pace), 1))
    own = np.stack([_lip_motion(face, points) for points in back])  # (frames, 2, 2)
    calm = smooth(own, CALM_FRAMES * pace)
    skin = np.stack([points[lm.PHILTRUM] - face.points[lm.PHILTRUM] for points in back])
    calm[:, 0] = smooth(skin, SKIN_FRAMES * pace)
    mixed = own + weights[:, None, None] * (calm - own)
    hanging = np.array([_jaw_drop(face, points) for points in back])
    drops = np.clip(smooth(hanging, JAW_FRAMES * pace), MIN_DROP, MAX_DROP)
    return [
        MouthAlignment(head, motion[0], motion[1], float(weight * drop), float(weight))
        for head, motion, drop, weight in zip(heads, mixed, drops, weights, strict=True)
    ]


def smooth(track: Doubles, deviation: float) -> Doubles:
    """Average (frames, ...) over time by a Gaussian, the ends held."""
    reach = 2 * int(3 * deviation + 1) + 1
    kernel = cv2.getGaussianKernel(reach, deviation)
    flat = track.reshape(len(track), -1)
    quiet = cv2.sepFilter2D(flat, -1, np.ones(1), kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(quiet, np.float64).reshape(track.shape)


def _redrawn(mouth: MouthGeometry, frames: Sequence[Floats], fade: int) -> Doubles:
    """1 where a frame's lips stand apart, and 0 more than 2 * `fade` frames away from such."""
    if mouth.is_open:
        return np.ones(len(frames))  # closed by flow once, which is steadier than in every frame
    window = np.ones(2 * fade + 1)
    padded = np.pad(parted(frames).astype(np.float64), 2 * fade, mode="edge")
    near = np.minimum(np.convolve(padded, window, "valid"), 1)
    # Rounded, as only a weight of exactly 1 spares drawing the frame's own lips.
    return np.asarray(np.convolve(near, window / len(window), "valid").round(6), np.float64)


def _place_head(face: ReferenceFace, points: Floats) -> Head:
    """Fit a turn in space, a size and a shift to the rigid points, least squares.

    The best affine map of the three coordinates is brought to the nearest one that keeps shapes.
    """
    solid = np.hstack([face.points, face.depth[:, None]])
    rigid = list(lm.RIGID)
    middle, target = solid[rigid].mean(0), points[rigid].mean(0)
    affine = np.linalg.lstsq(solid[rigid] - middle, points[rigid] - target, rcond=None)[0].T
    left, sizes, right = np.linalg.svd(affine, full_matrices=False)
    turn = sizes.mean() * (left @ right)
    # The nose's base decides the place: the mouth hangs below it.
    near = list(NOSE_BOTTOM)
    offset = points[near].mean(0) - turn @ solid[near].mean(0)
    return Head(turn[:, :2], turn[:, 2], offset)


def _lip_motion(face: ReferenceFace, back: Doubles) -> Doubles:
    """(2, 2): the shift of the lip line in reference pixels and its stretch per half width."""
    left, middle, right = _lip_line(back) - _lip_line(face.points)
    return np.stack([(left + 2 * middle + right) / 4, (right - left) / 2])


def _lip_line(points: Points) -> Doubles:
    """(3, 2): picture-left corner, where the closed lips would meet, picture-right corner."""
    upper, lower = points[lm.UPPER_LIP_CENTRE], points[lm.LOWER_LIP_CENTRE]
    meet = upper + UPPER_SHARE * (lower - upper)
    return np.array([points[lm.MOUTH_RIGHT], meet, points[lm.MOUTH_LEFT]], np.float64)


def _jaw_drop(face: ReferenceFace, back: Doubles) -> float:
    """The distance of the chin below the reference's, mouth widths."""
    chin = list(CHIN_POINTS)
    axes: FaceAxes = face.mouth.axes
    return float(((back[chin] - face.points[chin]) @ axes.rotation[1]).mean()) / face.mouth.width
