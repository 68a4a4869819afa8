"""Avatars with faces of 32 pixels, made by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from lipstream.avatar.avatar import Avatar, AvatarFrame
from lipstream.media.image import Box
from lipstream.rendering.musetalk.compositing.base import FaceRequest
from tests.fakes import blank_avatar

if TYPE_CHECKING:
    from lipstream.media.image import Floats
    from lipstream.rendering.musetalk.compositing.blend import BlendPlan
    from lipstream.rendering.musetalk.preprocess.prepare import PreparedFaces

SIDE, TOKENS, WIDTH = 32, 10, 24  # pixels of a face, and the audio of the tiny networks
PICTURE = 90, 80
ODD = 51, 71  # faces reach its last row and its last column
# Boxes of faces and the part of each that changes.
PLACES = [
    (Box(10, 5, 41, 43), Box(12, 20, 40, 43)),
    (Box(-9, 10, 30, 70), Box(0, 33, 29, 64)),
    (Box(20, 20, 36, 36), Box(20, 28, 36, 36)),  # exactly half of the generated face
    (Box(20, 20, 52, 52), Box(24, 30, 47, 50)),  # exactly as large
    (Box(50, 8, 88, 71), Box(50, 41, 51, 71)),  # one pixel wide
    (Box(60, 60, 100, 100), Box(60, 60, 60, 60)),  # nothing changes
]


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """As `BlendPlan`."""

    box: Box
    region: Box
    mask: object


@dataclass(frozen=True, slots=True, eq=False)
class _Faces:
    """As `PreparedFaces`."""

    latents: Floats
    plans: tuple[BlendPlan | None, ...]


def avatar_with_faces(
    seed: int, picture: tuple[int, int] = PICTURE
) -> tuple[Avatar, PreparedFaces]:
    """A frame per place, and one without a face."""
    random = np.random.default_rng(seed)
    plans = [
        _Plan(box, region, random.integers(0, 256, (region.height, region.width), np.uint8))
        for box, region in PLACES
    ]
    width, height = picture
    frames = tuple(
        AvatarFrame(random.integers(0, 256, (height, width, 3), np.uint8), None)
        for _ in range(len(plans) + 1)
    )
    latents = random.normal(0, 1, (len(frames), 8, SIDE // 8, SIDE // 8)).astype(np.float32)
    report = blank_avatar(width, height, len(frames)).report
    avatar = Avatar(frames, True, str(seed), report)
    return avatar, cast("PreparedFaces", _Faces(latents, (*cast("list[BlendPlan]", plans), None)))


def face_requests(
    count: int, seed: int = 0, picture: tuple[int, int] = PICTURE
) -> list[FaceRequest]:
    """Frames of two avatars in turn, with several blend weights."""
    random = np.random.default_rng(seed)
    avatars = [avatar_with_faces(1, picture), avatar_with_faces(2, picture)]
    return [
        FaceRequest(
            *avatars[index % 2],
            (index * 5 + index // 6) % len(PLACES),
            random.normal(0, 1, (TOKENS, WIDTH)).astype(np.float32),
            (1.0, 0.4, 1.0)[index % 3],
        )
        for index in range(count)
    ]
