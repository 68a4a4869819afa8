"""The pictures of an avatar that faces are put back into, as RGB or as I420.

A face changes a part of a picture; as I420 the rest is converted once per avatar, not per frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np

from lipstream.avatar.avatar import AvatarFrame
from lipstream.media.i420 import pad_to_even, paste_i420
from lipstream.media.image import I420, Box, Image, Picture, paste
from lipstream.rendering.musetalk.compositing.blend import BlendPlan

Convert: TypeAlias = Callable[[Image], I420]  # RGB with even sides

MAX_KEPT_BYTES = 1_000_000_000  # of I420 per avatar: 29 s of a clip at 1280x720


class Background(Protocol):
    """The pictures of one avatar, by frame."""

    def picture(self, frame: int) -> Picture:
        """The picture without a generated face."""

    def with_pixels(self, frame: int, source: Image, pixels: Image, region: Box) -> Picture:
        """The picture with RGB `pixels` in `region`; `source` is its `AvatarFrame.pixels`."""

    def with_patch(self, frame: int, patch: Picture, region: Box) -> Picture:
        """The picture with `patch`, which has its format, in `region`."""


@dataclass(frozen=True, slots=True, eq=False)
class RgbBackground:
    """RGB pictures; each is the caller's own."""

    frames: Sequence[AvatarFrame]

    def picture(self, frame: int) -> Image:
        return self.frames[frame].pixels.copy()

    def with_pixels(self, frame: int, source: Image, pixels: Image, region: Box) -> Image:
        return paste(source, pixels, region)

    def with_patch(self, frame: int, patch: Image, region: Box) -> Image:
        return paste(self.frames[frame].pixels, patch, region)


class I420Background:
    """Pictures for a video encoder, which must not be written to.

    As many of the first as fit into `max_bytes` are converted at once and kept, so that a clip's
    are not even decoded again. The others are converted each time.
    """

    def __init__(
        self, frames: Sequence[AvatarFrame], convert: Convert, max_bytes: int = MAX_KEPT_BYTES
    ) -> None:
        self._frames, self._convert = frames, convert
        self._kept: list[I420] = []
        for frame in frames:
            converted = convert(pad_to_even(frame.pixels))
            if max_bytes < converted.nbytes:
                break
            max_bytes -= converted.nbytes
            converted.flags.writeable = False
            self._kept.append(converted)

    def picture(self, frame: int) -> I420:
        return self._converted(frame, None)

    def with_pixels(self, frame: int, source: Image, pixels: Image, region: Box) -> I420:
        converted = self._converted(frame, source)
        if not pixels.size:
            return converted
        wide = even_box(region)
        around = pad_to_even(source)[wide.slices].copy()
        around[region.within(wide).slices] = pixels
        return paste_i420(converted, self._convert(around), wide)

    def with_patch(self, frame: int, patch: I420, region: Box) -> I420:
        converted = self._converted(frame, None)
        return paste_i420(converted, patch, region) if patch.size else converted

    def _converted(self, frame: int, source: Image | None) -> I420:
        if frame < len(self._kept):
            return self._kept[frame]
        return self._convert(pad_to_even(self._frames[frame].pixels if source is None else source))


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
