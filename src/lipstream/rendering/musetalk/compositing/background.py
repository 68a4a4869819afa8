"""What painted faces are put back into: an avatar's pictures, as RGB or as a codec's planes.

A face changes a part of a picture. As planes the rest of it is converted once per avatar and not
once per frame, and half as many bytes are copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from lipstream.media.i420 import pad_to_even, paste_i420
from lipstream.media.image import Box, paste

if TYPE_CHECKING:
    from lipstream.avatar.avatar import AvatarFrame
    from lipstream.media.image import I420, Image, Picture
    from lipstream.rendering.musetalk.compositing.blend import BlendPlan

    Convert: TypeAlias = Callable[[Image], I420]  # RGB with even sides

KEPT_BYTES = 1_000_000_000  # of planes per avatar: 29 s of a clip at 1280x720


class Background(Protocol):
    """The pictures of one avatar, by frame."""

    def bare(self, frame: int) -> Picture:
        """The picture without a painted face."""
        ...

    def patch(self, picture: Image, pixels: Image, region: Box) -> tuple[Picture, Box]:
        """RGB `pixels` of a `region` of `picture` as `with_patch` takes them, and where they go."""
        ...

    def with_patch(self, frame: int, patch: Picture, region: Box) -> Picture:
        """The picture with `patch` in `region`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class RgbBackground:
    """Pictures for anyone; each is the caller's own."""

    frames: Sequence[AvatarFrame]

    def bare(self, frame: int) -> Image:
        return self.frames[frame].pixels.copy()

    def patch(self, picture: Image, pixels: Image, region: Box) -> tuple[Image, Box]:
        return pixels, region

    def with_patch(self, frame: int, patch: Image, region: Box) -> Image:
        return paste(self.frames[frame].pixels, patch, region)


class I420Background:
    """Pictures for a video encoder; whoever gets one shows it and does not write to it.

    As many of the first ones as fit into `room` bytes are converted at once and kept: a clip's are
    not even decoded again. The others are converted each time.
    """

    def __init__(
        self, frames: Sequence[AvatarFrame], convert: Convert, room: int = KEPT_BYTES
    ) -> None:
        self._frames, self._convert = frames, convert
        self._kept: list[I420] = []
        for frame in frames:
            planes = convert(pad_to_even(frame.pixels))
            if room < planes.nbytes:
                break
            room -= planes.nbytes
            planes.flags.writeable = False
            self._kept.append(planes)

    def bare(self, frame: int) -> I420:
        if frame < len(self._kept):
            return self._kept[frame]
        return self._convert(pad_to_even(self._frames[frame].pixels))

    def patch(self, picture: Image, pixels: Image, region: Box) -> tuple[I420, Box]:
        if not pixels.size:
            return pixels, region
        wide = even_box(region)
        around = pad_to_even(picture)[wide.slices].copy()
        around[region.within(wide).slices] = pixels
        return self._convert(around), wide

    def with_patch(self, frame: int, patch: I420, region: Box) -> I420:
        planes = self.bare(frame)
        return paste_i420(planes, patch, region) if patch.size else planes


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
