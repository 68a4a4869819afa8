"""The protocol of compositors: `GpuCompositor` on a device, `CpuCompositor` on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lipstream.avatar.avatar import Avatar
from lipstream.media.image import Floats, Picture
from lipstream.rendering.base import PendingPictures
from lipstream.rendering.musetalk.compositing.background import Background
from lipstream.rendering.musetalk.compositing.blend import BlendPlan
from lipstream.rendering.musetalk.preprocess.prepare import PreparedFaces


@dataclass(frozen=True, slots=True, eq=False)
class FaceRequest:
    """One frame of an avatar with a generated face."""

    avatar: Avatar
    faces: PreparedFaces  # of the avatar
    frame: int  # of the avatar; it has a face
    conditioning: Floats  # (tokens, width)
    blend_weight: float = 1.0  # 0..1 between the picture and the generated face

    @property
    def plan(self) -> BlendPlan:
        plan = self.faces.plans[self.frame]
        assert plan is not None
        return plan


@dataclass(frozen=True, slots=True, eq=False)
class BackgroundRequest:
    """One frame of an avatar as it is: without a face, or with an idle one."""

    background: Background
    frame: int


class Compositor(Protocol):
    """Generates faces and puts them back into their pictures, for `MuseTalkRenderer`."""

    overlaps: bool  # faces are generated between `begin` and `finish`

    @property
    def nonfinite_faces(self) -> int:
        """Faces so far that the networks did not compute, see `NonFiniteFaces`."""

    def load(self, avatar: Avatar, faces: PreparedFaces) -> Background:
        """Do what is needed once per avatar; `begin` does it for an avatar not loaded yet."""

    def begin(self, requests: Sequence[FaceRequest]) -> PendingPictures:
        """Start with at least one face; batches are generated in the order they were begun."""


def begin_pictures(
    compositor: Compositor, requests: Sequence[FaceRequest | BackgroundRequest]
) -> PendingPictures:
    """Start with any pictures; all faces are generated in one batch."""
    faces = [request for request in requests if isinstance(request, FaceRequest)]
    return _PendingFrames(requests, compositor.begin(faces) if faces else None)


@dataclass(frozen=True, slots=True, eq=False)
class _PendingFrames:
    requests: Sequence[FaceRequest | BackgroundRequest]
    faces: PendingPictures | None

    def finish(self) -> list[Picture]:
        composited = iter([] if self.faces is None else self.faces.finish())
        return [
            request.background.picture(request.frame)
            if isinstance(request, BackgroundRequest)
            else next(composited)
            for request in self.requests
        ]
