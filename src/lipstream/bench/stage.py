"""The workload as avatar and renderer: what live sessions and whole loops are measured with.

Everything between a request and its finished picture is the product's own compositor; only what
it is given was drawn instead of prepared from a face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from lipstream.avatar.avatar import Avatar, AvatarFrame, QualityReport, ping_pong
from lipstream.bench.compose import published_is_there
from lipstream.bench.workload import TOKENS, Place, Workload
from lipstream.rendering.base import FrameRequest, PendingPictures
from lipstream.rendering.musetalk.compositing.background import PixelFormat
from lipstream.rendering.musetalk.compositing.base import (
    BackgroundRequest,
    Compositor,
    FaceRequest,
    begin_pictures,
)
from lipstream.rendering.musetalk.compositing.gpu import GpuCompositor
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks

if TYPE_CHECKING:
    from lipstream.config import Progress
    from lipstream.media.image import Floats, Picture
    from lipstream.rendering.musetalk.preprocess.prepare import PreparedFaces


@dataclass(frozen=True, slots=True, eq=False)
class DrawnFaces:
    """As much of `PreparedFaces` as painting looks at; the rest of it needs OpenCV to be made."""

    latents: Floats  # (frames, 8, h, w)
    plans: tuple[Place, ...]


class Stage:
    """A renderer of one avatar, and that avatar."""

    def __init__(self, work: Workload, networks: MuseTalkNetworks, compositor: Compositor) -> None:
        self.networks, self.compositor = networks, compositor
        width, height = work.sizes.picture
        report = _report(width, height, work.sizes.frames)
        frames = tuple(AvatarFrame(picture, None) for picture in work.pictures)
        self.avatar = Avatar(frames, True, "drawn", report)
        drawn: Any = DrawnFaces(work.latents.cpu().numpy(), work.places)
        self._faces = cast("PreparedFaces", drawn)
        self._background = compositor.load(self.avatar, self._faces)

    @property
    def overlaps(self) -> bool:
        """See `PipelinedRenderer`."""
        return self.compositor.overlaps

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        """See `Renderer`; there is nothing to do."""
        return avatar

    def render(self, requests: Sequence[FrameRequest]) -> list[Picture]:
        """See `Renderer`."""
        return self.begin(requests).finish()

    def begin(self, requests: Sequence[FrameRequest]) -> PendingPictures:
        """See `PipelinedRenderer`."""
        return begin_pictures(self.compositor, [self._shown(request) for request in requests])

    def _shown(self, request: FrameRequest) -> FaceRequest | BackgroundRequest:
        position, said = ping_pong(request.index, len(self.avatar.frames)), request.conditioning
        if said is None:
            return BackgroundRequest(self._background, position)
        return FaceRequest(self.avatar, self._faces, position, said, request.blend_weight)


def open_painter(
    work: Workload, networks: MuseTalkNetworks, batch: int, *, pixel_format: PixelFormat = "rgb24"
) -> Compositor:
    """The compositor that the product takes on this device, recordings and all."""
    if networks.device.type == "cpu" and published_is_there():
        from lipstream.rendering.musetalk.compositing.cpu import CpuCompositor

        return CpuCompositor(networks, pixel_format=pixel_format)
    side, record = 8 * work.sizes.latent, networks.device.type == "cuda"
    return GpuCompositor(
        networks, side, TOKENS, batch=batch, record=record, pixel_format=pixel_format
    )


def _report(width: int, height: int, frames: int) -> QualityReport:
    none = 0.0
    return QualityReport(
        width, height, frames, frames, 0, 0, 1, 1, none, none, none, none, none, none, none
    )
