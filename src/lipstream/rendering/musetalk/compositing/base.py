"""The protocol of compositors: `GpuCompositor` on a device, `CpuCompositor` on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lipstream.avatar.avatar import Avatar

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Picture
    from lipstream.rendering.musetalk.compositing.background import Background
    from lipstream.rendering.musetalk.compositing.blend import BlendPlan
    from lipstream.rendering.musetalk.preprocess.prepare import MuseFaces


@dataclass(frozen=True, slots=True, eq=False)
class FaceRequest:
    """One frame of an avatar whose face shall speak."""

    avatar: Avatar
    faces: MuseFaces  # of the avatar
    frame: int  # of the avatar; it has a face
    audio: Floats  # (tokens, width) of what is heard
    strength: float = 1.0  # 0..1 between the picture and what is painted

    @property
    def plan(self) -> BlendPlan:
        plan = self.faces.plans[self.frame]
        assert plan is not None
        return plan


@dataclass(frozen=True, slots=True, eq=False)
class BareRequest:
    """One frame of an avatar as it is: without a face, or with one at rest."""

    background: Background
    frame: int


class Pending(Protocol):
    """Pictures on their way."""

    def finish(self) -> list[Picture]:
        """The whole picture of every request, in their order. Once; it may be forgotten instead."""
        ...


class Compositor(Protocol):
    """What the renderer asks of `GpuCompositor` and of `CpuCompositor`."""

    @property
    def overlaps(self) -> bool:
        """Whether it paints between `begin` and `finish`."""
        ...

    def keep(self, avatar: Avatar, faces: MuseFaces) -> Background:
        """Do what is needed once per avatar; `begin` would do it on first sight."""
        ...

    def begin(self, requests: Sequence[FaceRequest]) -> Pending:
        """Start with at least one face; batches are painted in the order they were begun."""
        ...


def begin_pictures(
    compositor: Compositor, requests: Sequence[FaceRequest | BareRequest]
) -> Pending:
    """Start with any pictures; all faces that speak are painted in one batch."""
    faces = [request for request in requests if isinstance(request, FaceRequest)]
    return _Begun(requests, compositor.begin(faces) if faces else None)


@dataclass(frozen=True, slots=True, eq=False)
class _Begun:
    requests: Sequence[FaceRequest | BareRequest]
    faces: Pending | None

    def finish(self) -> list[Picture]:
        """See `Pending`."""
        painted = iter([] if self.faces is None else self.faces.finish())
        return [
            request.background.bare(request.frame)
            if isinstance(request, BareRequest)
            else next(painted)
            for request in self.requests
        ]
