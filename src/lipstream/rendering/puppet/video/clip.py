"""A clip that talks: its frames with the mouth of one reference picture a shot.

Frames with a closed mouth keep their own lips, which are moved by flow. Where the person talks, the
lower face of the reference is put over the frame, so the clip's own speech does not show. The clip
brings its own blinks and sway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lipstream.avatar.avatar import Avatar, AvatarFrame
from lipstream.avatar.face.finder import Face, FaceFinder
from lipstream.media.image import Floats, Image
from lipstream.rendering.puppet.mouth.geometry import measure_mouth
from lipstream.rendering.puppet.mouth.layers import build_mouth_model
from lipstream.rendering.puppet.pose import Pose
from lipstream.rendering.puppet.video.alignment import MouthAlignment, ReferenceFace, align
from lipstream.rendering.puppet.video.lent_face import lend_face, lifted_lips
from lipstream.rendering.puppet.video.reference import choose_reference, landmarks_of
from lipstream.rendering.puppet.video.shot import Shot
from lipstream.rendering.puppet.warp import Doubles

DEPTH_RADIUS = 0.2  # mouth widths over which the mesh's depths are averaged


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The mouth of each shot and its alignment with each frame.

    Holds no avatar: what is computed for one must not keep it alive.
    """

    shots: dict[int, Shot]
    alignments: tuple[MouthAlignment | None, ...]  # one per frame of the avatar; None: no face

    def render(self, avatar: Avatar, index: int, fps: Fraction, pose: Pose) -> Image:
        """Draw frame `index` of a stream of `avatar`, a fresh array."""
        position = avatar.position(index, fps)
        frame, alignment = avatar.frames[position], self.alignments[position]
        if alignment is None or (pose.is_rest and not alignment.redrawn):
            return frame.pixels.copy()
        return self.shots[frame.shot].draw(frame.pixels, alignment, pose)


def prepare_clip(avatar: Avatar) -> Clip:
    """Compute what the clip `avatar` needs to talk."""
    shots: dict[int, Shot] = {}
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
        shots[shot], aligned = _prepare_shot(finder, frames, avatar.fps)
        for position, alignment in zip(positions, aligned, strict=True):
            alignments[position] = alignment
    return Clip(shots, tuple(alignments))


def _prepare_shot(
    finder: FaceFinder, frames: Sequence[AvatarFrame], fps: Fraction
) -> tuple[Shot, list[MouthAlignment]]:
    """Choose the reference of a shot and align it with every frame; all frames have a face."""
    tracks = [landmarks_of(frame) for frame in frames]
    reference = choose_reference(frames)
    image, points = reference.pixels, landmarks_of(reference)
    mouth = measure_mouth(image, points)
    face = ReferenceFace(points.astype(np.float64), _depth(finder, image, points), mouth)
    model = build_mouth_model(image, points, mouth)
    aligned = align(face, tracks, fps)
    lent = None
    if any(alignment.redrawn for alignment in aligned):
        lips = [
            lifted_lips(
                mouth, model.flow, alignment.jaw, alignment.head.take_back(track, face.depth)
            )
            for alignment, track in zip(aligned, tracks, strict=True)
            if alignment.redrawn
        ]
        lent = lend_face(image, face, model.flow, np.stack(lips))
    grid = model.flow.to_picture(model.flow.grid)
    return Shot(model, _spread_depth(face, grid), face.lip_plane, lent), aligned


def _depth(finder: FaceFinder, image: Image, points: Floats) -> Doubles:
    """The (468,) depths of the face in `image`; 0 where the mesh does not find it again."""
    face = finder.track(image, Face(points, 1.0))
    if face is None:
        return np.zeros(len(points))
    return face.landmarks[:, 2].astype(np.float64)


def _spread_depth(face: ReferenceFace, grid: Floats) -> Floats:
    """Average the depths of the near landmarks at each (rows, columns, 2) point of `grid`."""
    flat = grid.reshape(-1, 2).astype(np.float64)
    distance = ((flat[:, None] - face.points[None]) ** 2).sum(-1)
    distance = (distance - distance.min(1, keepdims=True)) / (DEPTH_RADIUS * face.mouth.width) ** 2
    weight = np.exp(-distance)
    depth = (weight @ face.depth) / weight.sum(1)
    return np.asarray(depth.reshape(grid.shape[:2]), np.float32)
