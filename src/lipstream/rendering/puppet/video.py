"""A clip that talks: the mouth of one reference picture a shot, moved over every frame.

Flow is computed once per shot, on the frame whose mouth is most closed, and carried to the others
by the head's similarity plus the shift and stretch of the mouth over the face. The speaker's own
lips are first closed and then moved, so the clip's own speech does not show. The clip brings its
own blinks and sway.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from lipstream.avatar.avatar import Avatar, AvatarFrame, ping_pong
from lipstream.avatar.face import landmarks as lm
from lipstream.avatar.face.finder import Face, FaceFinder
from lipstream.media.image import Floats, Image, paste
from lipstream.rendering.puppet.mouth.geometry import UPPER_SHARE, MouthGeometry, measure_mouth
from lipstream.rendering.puppet.mouth.layers import MouthModel, build_mouth_model
from lipstream.rendering.puppet.pose import REST, Pose
from lipstream.rendering.puppet.warp import (
    Doubles,
    bounding_box,
    compose,
    corners,
    pixel_grid,
    sample,
    similarity,
    transform,
    transform_back,
    warp,
)
from lipstream.timeline import FPS

GAP_NOISE = 0.02  # mouth widths; gaps up to here are noise of the mesh
# Factors on the gap that the mesh reads; it reads rounded or wide mouths short.
GAINS = (1.0, 1.3, 1.6, 2.0, 2.4, 2.8)
GAIN_TRIALS = 6  # frames on which the gain of a shot is tried


@dataclass(frozen=True, slots=True, eq=False)
class MouthAlignment:
    """The place and the opening of a shot's canonical mouth in one of its frames."""

    head: Doubles  # (2, 3) canonical pixels -> pixels of the frame
    shift: Doubles  # (2,) canonical pixels of the mouth against the head
    stretch: Doubles  # (2,) the same per half mouth width sidewards
    opening: float  # factor on `MouthFlow.opening` that gives the frame's own lips

    def to_frame(self, mouth: MouthGeometry) -> Floats:
        """The (2, 3) map of canonical pixels to the frame's, for what moves with the mouth."""
        across = mouth.axes.rotation[0] / (mouth.width / 2)
        stretch = np.outer(self.stretch, across)
        shift = self.shift - stretch @ mouth.axes.origin
        mouth_motion = np.hstack([np.eye(2) + stretch, shift[:, None]])
        return compose(self.head, mouth_motion).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The mouth of each shot and its alignment with each frame.

    Holds no avatar: what is computed for one must not keep it alive.
    """

    shots: dict[int, MouthModel]
    alignments: tuple[MouthAlignment | None, ...]  # one per frame of the avatar; None: no face

    def render(self, avatar: Avatar, index: int, fps: Fraction, pose: Pose) -> Image:
        """Draw frame `index` of a stream of `avatar`, a fresh array."""
        # The clip's frames are FPS apart whatever the stream's rate.
        position = ping_pong(int(index * FPS / fps), len(avatar.frames))
        frame, alignment = avatar.frames[position], self.alignments[position]
        if alignment is None or (pose.is_rest and not alignment.opening):
            return frame.pixels.copy()
        return _draw(frame.pixels, self.shots[frame.shot], alignment, pose)


def prepare_clip(avatar: Avatar) -> Clip:
    """Compute what the clip `avatar` needs to talk."""
    shots: dict[int, MouthModel] = {}
    alignments: list[MouthAlignment | None] = [None] * len(avatar.frames)
    finder = FaceFinder()
    for shot in sorted({frame.shot for frame in avatar.frames}):
        positions = [
            position
            for position, frame in enumerate(avatar.frames)
            if frame.shot == shot and frame.landmarks is not None
        ]
        if not positions:
            continue
        frames = [avatar.frames[position] for position in positions]
        reference = min(frames, key=_reference_cost)
        model, unit = _reference_model(reference)
        shots[shot] = model
        aligned = [_align(frame, reference, model.mouth, unit) for frame in frames]
        gains = _opening_gains(finder, frames, aligned, model)
        for position, alignment, gain in zip(positions, aligned, gains, strict=True):
            alignments[position] = replace(alignment, opening=gain * alignment.opening)
    return Clip(shots, tuple(alignments))


def _opening_gains(
    finder: FaceFinder, faces: list[AvatarFrame], aligned: list[MouthAlignment], model: MouthModel
) -> list[float]:
    """The factor on the opening that the mesh reads, for each mouth of a shot.

    Tried on a few frames from the least to the most open, and interpolated for the others.
    """
    by_opening = sorted(range(len(faces)), key=lambda i: aligned[i].opening)
    opened = [i for i in by_opening if aligned[i].opening > 0]
    if not opened:
        return [1.0] * len(faces)
    shut = GAP_NOISE * model.mouth.width + min(lm.mouth_gap(_points(frame)) for frame in faces)
    steps = np.linspace(0, len(opened) - 1, min(GAIN_TRIALS, len(opened))).round().astype(int)
    trials = [opened[step] for step in steps]
    gains = [_min_gain(finder, faces[i], aligned[i], model, shut) for i in trials]
    known = [aligned[i].opening for i in trials]
    # A wider mouth is never read better than a narrower one.
    rising = np.maximum.accumulate(gains)
    return [float(np.interp(alignment.opening, known, rising)) for alignment in aligned]


def _min_gain(
    finder: FaceFinder,
    frame: AvatarFrame,
    alignment: MouthAlignment,
    model: MouthModel,
    shut: float,
) -> float:
    """The least of `GAINS` by which the mouth of `frame` reads as shut when it is closed."""
    gaps = []
    for gain in GAINS:
        trial = replace(alignment, opening=gain * alignment.opening)
        face = finder.track(_draw(frame.pixels, model, trial, REST), Face(_points(frame), 1.0))
        gaps.append(np.inf if face is None else lm.mouth_gap(face.landmarks))
        if gaps[-1] <= shut:
            break
    return GAINS[int(np.argmin(gaps))]


def _points(frame: AvatarFrame) -> Floats:
    assert frame.landmarks is not None
    return frame.landmarks


def _reference_cost(frame: AvatarFrame) -> float:
    """Low for a frame whose mouth is closed and whose head looks ahead."""
    points = _points(frame)
    return lm.mouth_gap(points) / lm.mouth_width(points) + 0.3 * abs(lm.yaw(points))


def _reference_model(reference: AvatarFrame) -> tuple[MouthModel, float]:
    """The mouth of a shot, and the gap in pixels that its whole `MouthFlow.opening` stands for."""
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
    return build_mouth_model(image, points, mouth, moving), unit


def _align(
    frame: AvatarFrame, reference: AvatarFrame, mouth: MouthGeometry, unit: float
) -> MouthAlignment:
    """Align the mouth of `reference` with `frame`; `unit` is as `_reference_model` gives it."""
    canonical, points = _points(reference)[:, :2], _points(frame)[:, :2]
    rigid = list(lm.RIGID)
    head = similarity(canonical[rigid], points[rigid])
    back = transform_back(head, points)
    left, middle, right = _lip_line(back) - _lip_line(canonical)
    gap = lm.mouth_gap(back)
    # Without a jump: a mouth near the limit must not flicker between open and closed.
    closed = 0.0 if mouth.is_open else lm.mouth_gap(canonical)
    opening = max(gap - closed - (0.0 if mouth.is_open else GAP_NOISE * mouth.width), 0.0)
    return MouthAlignment(head, (left + 2 * middle + right) / 4, (right - left) / 2, opening / unit)


def _lip_line(points: Floats) -> Doubles:
    """(3, 2): picture-left corner, where the closed lips would meet, picture-right corner."""
    upper, lower = points[lm.UPPER_LIP_CENTRE], points[lm.LOWER_LIP_CENTRE]
    meet = upper + UPPER_SHARE * (lower - upper)
    return np.array([points[lm.MOUTH_RIGHT], meet, points[lm.MOUTH_LEFT]], np.float64)


def _draw(picture: Image, model: MouthModel, alignment: MouthAlignment, pose: Pose) -> Image:
    """Draw the mouth of `model` over that of `picture` in `pose`."""
    flow, head = model.flow, alignment.head
    size = (picture.shape[1], picture.shape[0])
    box = bounding_box(transform(head, corners(flow.box)), size)
    if box.width < 2 or box.height < 2:
        return picture.copy()
    canonical = transform_back(head, pixel_grid(box, flow.scale)).astype(np.float32)
    follow = sample(flow.skin_follow, flow.to_grid(canonical))
    canonical -= follow[..., :1] * alignment.shift.astype(np.float32)
    canonical -= follow[..., 1:] * alignment.stretch.astype(np.float32)
    layers = model.layers(pose, alignment.opening).read(
        flow.to_grid(canonical), flow.scale, (box.width, box.height), (0, box.height)
    )
    pixels, turn = pixel_grid(box).astype(np.float32), head[:, :2].T.astype(np.float32)
    upper, lower = (warp(picture, pixels + shift @ turn) for shift in layers.shifts)
    to_box = alignment.to_frame(model.mouth)
    to_box[:, 2] -= (box.left, box.top)
    mouth = model.join(upper, lower, layers, pose, to_box)
    return paste(picture, mouth if pose.is_rest else layers.shade(mouth), box)
