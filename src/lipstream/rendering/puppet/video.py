"""A clip that talks: the mouth of one reference picture a shot, moved over every frame.

Flow is computed once per shot, on the frame whose mouth is most closed, and carried to the others
by the head's similarity plus the wandering of the mouth over the face. The speaker's own lips are
first closed and then moved, so what they said in the clip does not show. The clip brings its own
blinks and sway.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.avatar import Avatar, AvatarFrame, ping_pong
from lipstream.avatar.face import landmarks as lm
from lipstream.avatar.face.finder import Face, FaceFinder
from lipstream.media.image import Box
from lipstream.media.paste import paste
from lipstream.rendering.puppet.mouth_geometry import UPPER_SHARE, Mouth, measure_mouth
from lipstream.rendering.puppet.mouth_layers import (
    Lips,
    assemble_lips,
    join_layers,
    layers_of,
    shade,
)
from lipstream.rendering.puppet.pose import Pose, pose_of
from lipstream.rendering.puppet.warp import sample, similarity, warp
from lipstream.speech.articulation.network import PARAMETERS
from lipstream.timeline import FPS

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

NOISE = 0.02  # mouth widths; gaps up to here are noise of the mesh
# How much further than the mesh says a mouth stands open; it reads rounded or wide ones short.
GAINS = (1.0, 1.3, 1.6, 2.0, 2.4, 2.8)
TRIALS = 6  # frames on which the gain of a shot is tried


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where the canonical mouth of a shot lies in one of its frames."""

    head: NDArray[np.float64]  # (2, 3) canonical pixels -> pixels of the frame
    wander: NDArray[np.float64]  # (2,) canonical pixels by which the mouth has left its place
    spread: NDArray[np.float64]  # (2,) the same per half mouth width sidewards
    opening: float  # how much of `MouthFlow.opening` the frame's own lips stand apart

    def mouth(self, mouth: Mouth) -> Floats:
        """(2, 3) canonical pixels -> pixels of the frame, for what moves with the mouth."""
        across = mouth.axes.rotation[0] / (mouth.width / 2)
        turn = np.eye(2) + np.outer(self.spread, across)
        shift = self.wander - np.outer(self.spread, across) @ mouth.axes.origin
        linear = self.head[:, :2] @ turn
        offset = self.head[:, :2] @ shift + self.head[:, 2]
        return np.hstack([linear, offset[:, None]]).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The lips of each shot and their place in each frame.

    Holds no avatar: what is computed for one must not keep it alive.
    """

    shots: dict[int, Lips]
    placements: tuple[Placement | None, ...]  # one per frame of the avatar; None without a face

    def render(self, avatar: Avatar, index: int, fps: Fraction, pose: Pose) -> Image:
        """The picture of `avatar` at frame `index` of a stream, a fresh array."""
        # The clip's frames are FPS apart whatever the stream's rate.
        position = ping_pong(int(index * FPS / fps), len(avatar.frames))
        frame, placement = avatar.frames[position], self.placements[position]
        picture = frame.pixels
        if placement is None or (pose.is_rest and not placement.opening):
            return picture.copy()
        return _draw(picture, self.shots[frame.shot], placement, pose)


def prepare_clip(avatar: Avatar) -> Clip:
    """Compute what the clip `avatar` needs to talk."""
    shots: dict[int, Lips] = {}
    placements: list[Placement | None] = [None] * len(avatar.frames)
    finder = FaceFinder()
    for shot in sorted({frame.shot for frame in avatar.frames}):
        where = [
            position
            for position, frame in enumerate(avatar.frames)
            if frame.shot == shot and frame.landmarks is not None
        ]
        if not where:
            continue
        faces = [avatar.frames[position] for position in where]
        reference = min(faces, key=_restlessness)
        lips, unit = _reference_lips(reference)
        shots[shot] = lips
        placed = [_place(frame, reference, lips.mouth, unit) for frame in faces]
        gains = _opening_gains(finder, faces, placed, lips)
        for position, placement, gain in zip(where, placed, gains, strict=True):
            placements[position] = replace(placement, opening=gain * placement.opening)
    return Clip(shots, tuple(placements))


def _opening_gains(
    finder: FaceFinder, faces: list[AvatarFrame], placed: list[Placement], lips: Lips
) -> list[float]:
    """How much further than the mesh says each mouth of a shot stands open.

    Tried on a few frames from the least to the most open, and interpolated for the others.
    """
    by_opening = sorted(range(len(faces)), key=lambda i: placed[i].opening)
    opened = [i for i in by_opening if placed[i].opening > 0]
    if not opened:
        return [1.0] * len(faces)
    shut = NOISE * lips.mouth.width + min(lm.mouth_gap(_points(frame)) for frame in faces)
    steps = np.linspace(0, len(opened) - 1, min(TRIALS, len(opened))).round().astype(int)
    trials = [opened[step] for step in steps]
    gains = [_min_gain(finder, faces[i], placed[i], lips, shut) for i in trials]
    known = [placed[i].opening for i in trials]
    # A wider mouth is never read better than a narrower one.
    rising = np.maximum.accumulate(gains)
    return [float(np.interp(placement.opening, known, rising)) for placement in placed]


def _min_gain(
    finder: FaceFinder, frame: AvatarFrame, placement: Placement, lips: Lips, shut: float
) -> float:
    """The least of `GAINS` by which the mouth of `frame` reads as shut when it is closed."""
    rest = pose_of(np.zeros(len(PARAMETERS), np.float32))
    left = []
    for gain in GAINS:
        tried = replace(placement, opening=gain * placement.opening)
        seen = finder.track(_draw(frame.pixels, lips, tried, rest), Face(_points(frame), 1.0))
        left.append(np.inf if seen is None else lm.mouth_gap(seen.landmarks))
        if left[-1] <= shut:
            break
    return GAINS[int(np.argmin(left))]


def _points(frame: AvatarFrame) -> Floats:
    assert frame.landmarks is not None
    return frame.landmarks


def _restlessness(frame: AvatarFrame) -> float:
    """Low for a frame whose mouth is closed and whose head looks ahead."""
    points = _points(frame)
    return lm.mouth_gap(points) / lm.mouth_width(points) + 0.3 * abs(lm.yaw(points))


def _reference_lips(reference: AvatarFrame) -> tuple[Lips, float]:
    """The lips of a shot, and the gap in pixels that its whole `MouthFlow.opening` stands for."""
    image, points = reference.pixels, _points(reference)
    mouth = measure_mouth(image, points)
    moving, unit = mouth, lm.mouth_gap(points)
    if not mouth.is_open:
        # Other frames of the shot may be open: prepare to close an opening of one mouth width.
        unit = mouth.width
        span = (mouth.columns - mouth.columns[0]) / (mouth.columns[-1] - mouth.columns[0])
        profile = unit * np.clip(1 - (2 * span - 1) ** 2, 0, 1) ** 0.6
        moving = replace(
            mouth, upper_gap=UPPER_SHARE * profile, lower_gap=(1 - UPPER_SHARE) * profile
        )
    return assemble_lips(image, points, mouth, moving), unit


def _place(frame: AvatarFrame, reference: AvatarFrame, mouth: Mouth, unit: float) -> Placement:
    home, points = _points(reference)[:, :2], _points(frame)[:, :2]
    rigid = list(lm.RIGID)
    head = similarity(home[rigid], points[rigid])
    back = (points - head[:, 2]) @ np.linalg.inv(head[:, :2]).T
    stray = [_lip_line(back)[i] - _lip_line(home)[i] for i in range(3)]
    gap = lm.mouth_gap(back)
    closed = 0.0 if mouth.is_open else lm.mouth_gap(home)
    # Without a jump: a mouth near the limit must not flicker between open and closed.
    opening = max(gap - closed - (0.0 if mouth.is_open else NOISE * mouth.width), 0.0)
    return Placement(
        head,
        (stray[0] + 2 * stray[1] + stray[2]) / 4,
        (stray[2] - stray[0]) / 2,
        opening / unit,
    )


def _lip_line(points: Floats) -> list[NDArray[np.float64]]:
    """Picture-left corner, where the closed lips would meet, and picture-right corner."""
    upper, lower = points[lm.UPPER_LIP_CENTRE], points[lm.LOWER_LIP_CENTRE]
    meet = upper + UPPER_SHARE * (lower - upper)
    line = (points[lm.MOUTH_RIGHT], meet, points[lm.MOUTH_LEFT])
    return [np.asarray(point, np.float64) for point in line]


def _draw(picture: Image, lips: Lips, placement: Placement, pose: Pose) -> Image:
    flow, head = lips.flow, placement.head
    box = _covered(flow.box, head, picture)
    if box.width < 2 or box.height < 2:
        return picture.copy()
    step = flow.scale
    x, y = np.meshgrid(
        np.arange(box.left, box.right, step) + (step - 1) / 2,
        np.arange(box.top, box.bottom, step) + (step - 1) / 2,
    )
    pixels = np.stack([x, y], -1)
    home = ((pixels - head[:, 2]) @ np.linalg.inv(head[:, :2]).T).astype(np.float32)
    near = sample(flow.near, flow.to_grid(home))
    home -= near[..., :1] * placement.wander.astype(np.float32)
    home -= near[..., 1:] * placement.spread.astype(np.float32)
    size = (box.width, box.height)
    layers = layers_of(lips, pose, placement.opening)
    layers = layers.read(flow.to_grid(home), step, size, (0, box.height))
    turn = head[:, :2].T.astype(np.float32)
    columns, rows = np.meshgrid(np.arange(box.left, box.right), np.arange(box.top, box.bottom))
    here = np.stack([columns, rows], -1).astype(np.float32)
    upper, lower = (warp(picture, here + shift @ turn) for shift in layers.shifts)
    there = placement.mouth(lips.mouth)
    there[:, 2] -= (box.left, box.top)
    mouth = join_layers(upper, lower, layers.edges, lips, pose, there)
    return paste(picture, mouth if pose.is_rest else shade(mouth, layers.light), box)


def _covered(box: Box, head: NDArray[np.float64], picture: Image) -> Box:
    """Where a canonical box lies in a frame."""
    corners = np.array([[x, y] for x in (box.left, box.right) for y in (box.top, box.bottom)])
    there = corners @ head[:, :2].T + head[:, 2]
    (x0, y0), (x1, y1) = np.floor(there.min(0)), np.ceil(there.max(0))
    height, width = picture.shape[:2]
    return Box(int(x0), int(y0), int(x1), int(y1)).clip(width, height)
