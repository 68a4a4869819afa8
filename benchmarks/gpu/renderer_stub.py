"""The synthetic workload as a renderer, for live sessions and whole loops.

Everything between a request and its finished picture is the product's own compositor; only the
prepared faces are synthetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.gpu.synthetic_workload import TOKENS, Workload
from lipstream.avatar.avatar import Avatar, ping_pong
from lipstream.rendering.base import FrameRequest, PendingPictures, PixelFormat
from lipstream.rendering.musetalk.compositing.base import (
    BackgroundRequest,
    Compositor,
    FaceRequest,
    begin_pictures,
)
from lipstream.rendering.musetalk.compositing.cpu import CpuCompositor
from lipstream.rendering.musetalk.compositing.gpu import GpuCompositor
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks

if TYPE_CHECKING:
    from lipstream.config import Progress
    from lipstream.media.image import Picture


class RendererStub:
    """A renderer of the workload's only avatar."""

    def __init__(self, work: Workload, networks: MuseTalkNetworks, compositor: Compositor) -> None:
        self.networks, self.compositor = networks, compositor
        self.avatar, self._faces = work.avatar, work.faces
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
        return begin_pictures(self.compositor, [self._request(request) for request in requests])

    def _request(self, request: FrameRequest) -> FaceRequest | BackgroundRequest:
        position = ping_pong(request.index, len(self.avatar.frames))
        if request.conditioning is None:
            return BackgroundRequest(self._background, position)
        return FaceRequest(
            self.avatar, self._faces, position, request.conditioning, request.blend_weight
        )


def open_compositor(
    work: Workload, networks: MuseTalkNetworks, batch: int, pixel_format: PixelFormat
) -> Compositor:
    """The compositor that the product takes on this device, recordings and all."""
    if networks.device.type == "cpu":
        return CpuCompositor(networks, pixel_format=pixel_format)
    side = 8 * work.sizes.latent
    return GpuCompositor(
        networks, side, TOKENS, batch=batch, record=True, pixel_format=pixel_format
    )
