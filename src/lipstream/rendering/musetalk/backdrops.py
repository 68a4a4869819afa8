"""What painted faces are put back into: an avatar's pictures, as RGB or as a codec's planes.

A face changes a part of a picture. As planes the rest of it is converted once per avatar and not
once per frame, and half as many bytes are copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from lipstream.colour import evened
from lipstream.rendering.composite import paste, paste_planes
from lipstream.video import Box

if TYPE_CHECKING:
    from lipstream.avatar.avatar import AvatarFrame
    from lipstream.rendering.musetalk.blending import BlendPlan
    from lipstream.video import Image, Picture, Planes

    Convert: TypeAlias = Callable[[Image], Planes]  # RGB with even sides


class Backdrop(Protocol):
    """The pictures of one avatar, by frame."""

    def bare(self, frame: int) -> Picture:
        """The picture without a painted face."""
        ...

    def patch(self, frame: int, pixels: Image, region: Box) -> tuple[Picture, Box]:
        """RGB `pixels` of a `region` in the form that `with_patch` takes, and where they go."""
        ...

    def with_patch(self, frame: int, patch: Picture, region: Box) -> Picture:
        """The picture with `patch` in `region`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class RgbBackdrop:
    """Pictures for anyone; each is the caller's own."""

    frames: Sequence[AvatarFrame]

    def bare(self, frame: int) -> Image:
        return self.frames[frame].pixels.copy()

    def patch(self, frame: int, pixels: Image, region: Box) -> tuple[Image, Box]:
        return pixels, region

    def with_patch(self, frame: int, patch: Image, region: Box) -> Image:
        return paste(self.frames[frame].pixels, patch, region)


class PlaneBackdrop:
    """Pictures for a video encoder. Those without a face are shared: nobody writes to them."""

    def __init__(self, frames: Sequence[AvatarFrame], convert: Convert) -> None:
        self._frames, self._convert = frames, convert
        self._planes = [convert(evened(frame.pixels)) for frame in frames]
        for planes in self._planes:
            planes.flags.writeable = False

    def bare(self, frame: int) -> Planes:
        return self._planes[frame]

    def patch(self, frame: int, pixels: Image, region: Box) -> tuple[Planes, Box]:
        if not pixels.size:
            return pixels, region
        wide = even_box(region)
        around = evened(self._frames[frame].pixels)[wide.slices].copy()
        around[region.within(wide).slices] = pixels
        return self._convert(around), wide

    def with_patch(self, frame: int, patch: Planes, region: Box) -> Planes:
        planes = self._planes[frame]
        return paste_planes(planes, patch, region) if patch.size else planes


def even_box(box: Box) -> Box:
    """The least box of whole 2x2 pixels around one that is not empty."""
    left, top = box.left // 2 * 2, box.top // 2 * 2
    return Box(left, top, (box.right + 1) // 2 * 2, (box.bottom + 1) // 2 * 2)


def even_plan(plan: BlendPlan) -> BlendPlan:
    """The same pixels change, within a region of whole 2x2 pixels."""
    if not plan.mask.size or (wide := even_box(plan.region)) == plan.region:
        return plan
    mask = np.zeros((wide.height, wide.width), np.uint8)
    mask[plan.region.within(wide).slices] = plan.mask
    return replace(plan, region=wide, mask=mask)
