"""`blend.blend` on the device that generated the faces: only the pixels that change leave it.

The arithmetic is that of OpenCV's bilinear resize and of `blend.mix`, in integers: bytes differ by
one at most, and rarely; where a mask is zero none does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipstream.avatar.avatar import AvatarFrame
from lipstream.media.i420 import BT601, pad_to_even
from lipstream.media.image import I420, Image
from lipstream.rendering.base import PixelFormat
from lipstream.rendering.musetalk.compositing.background import (
    Background,
    I420Background,
    RgbBackground,
    even_plan,
)
from lipstream.rendering.musetalk.compositing.blend import BlendPlan
from lipstream.rendering.musetalk.compositing.fixed_point import COLUMNS, NEARLY_255, ONE, PIXELS
from lipstream.rendering.musetalk.preprocess.prepare import PreparedFaces


@dataclass(frozen=True, slots=True, eq=False)
class DeviceFaces:
    """The faces of one avatar on the device."""

    latents: Tensor  # (frames, 8, h, w)
    below: Tensor  # (pixels, 3) uint8: what lies under the regions of all frames, joined
    masks: Tensor  # (pixels,) uint8
    starts: tuple[int, ...]  # per frame, the first pixel of its region
    plans: tuple[BlendPlan | None, ...]
    background: Background
    i420: bool  # the pixels that change are converted, and regions are of whole 2x2 pixels


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One generated face and its place."""

    faces: DeviceFaces
    frame: int  # of the avatar; it has a face
    blend_weight: float
    start: int  # of its bytes among those of the batch

    @property
    def plan(self) -> BlendPlan:
        plan = self.faces.plans[self.frame]
        assert plan is not None
        return plan

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the bytes that change, RGB or I420."""
        height, width = self.plan.mask.shape
        return (height * 3 // 2, width) if self.faces.i420 else (height, width, 3)

    @property
    def size(self) -> int:
        """Bytes that change."""
        return math.prod(self.shape)


def upload_faces(
    frames: Sequence[AvatarFrame],
    faces: PreparedFaces,
    device: torch.device,
    dtype: torch.dtype,
    pixel_format: PixelFormat = "rgb24",
) -> DeviceFaces:
    """Copy the faces of all frames of an avatar; returns when the device has them."""
    i420 = pixel_format == "i420"

    def convert(picture: Image) -> I420:
        return np.asarray(rgb_to_i420(torch.tensor(picture, device=device)).cpu().numpy(), np.uint8)

    plans = tuple(faces.plans)
    if i420:
        plans = tuple(None if plan is None else even_plan(plan) for plan in plans)
    sizes = [0 if plan is None else int(plan.mask.size) for plan in plans]
    starts = tuple(accumulate(sizes, initial=0))
    below, masks = np.empty((starts[-1], 3), np.uint8), np.empty(starts[-1], np.uint8)
    for frame, plan, start, size in zip(frames, plans, starts, sizes, strict=False):
        if plan is not None and size:
            pixels = pad_to_even(frame.pixels) if i420 else frame.pixels
            below[start : start + size] = pixels[plan.region.slices].reshape(-1, 3)
            masks[start : start + size] = plan.mask.ravel()
    loaded = DeviceFaces(
        torch.tensor(faces.latents).to(device, dtype),
        torch.from_numpy(below).to(device),
        torch.from_numpy(masks).to(device),
        starts[:-1],
        plans,
        I420Background(frames, convert) if i420 else RgbBackground(frames),
        i420,
    )
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
    return loaded


def composite(pictures: Tensor, patches: Sequence[Patch], table: Tensor, out: Tensor) -> None:
    """Write the bytes that change of all `patches` into `out`, each from its start on.

    `pictures`: (n, side, side, 3) uint8, one per patch. `table`: `fill_table` of the patches, on
    the device. `out`: (bytes,) uint8, all RGB or all I420. On a GPU it waits for nothing.
    """
    if pictures.is_cuda and _has_triton():
        from lipstream.rendering.musetalk.compositing.blend_triton import launch

        largest = max((patch.plan.mask.size for patch in patches), default=0)
        launch(pictures, table, out, largest, i420=any(patch.faces.i420 for patch in patches))
        return
    for picture, patch in zip(pictures, patches, strict=True):
        if patch.size:
            changed = blended(picture, patch)
            changed = rgb_to_i420(changed) if patch.faces.i420 else changed
            out[patch.start : patch.start + patch.size] = changed.flatten()


def warm_up(pictures: Tensor, pixel_format: PixelFormat = "rgb24") -> None:
    """Compile the kernel of `composite` for pictures like these, so that no batch waits for it."""
    if pictures.is_cuda and _has_triton():
        from lipstream.rendering.musetalk.compositing.blend_triton import launch

        table = torch.ones((1, COLUMNS), dtype=torch.int64, device=pictures.device)
        table[:, PIXELS] = 0  # so that no address is followed
        out = torch.zeros_like(pictures[0]).flatten()
        launch(pictures[:1], table, out, 1, i420=pixel_format == "i420")


def fill_table(patches: Sequence[Patch], table: NDArray[np.int64]) -> None:
    """Describe patches to the kernel, a row each; addresses are good while the patches live."""
    for row, patch in zip(table, patches, strict=True):
        box, region = patch.plan.box, patch.plan.region
        first = patch.faces.starts[patch.frame]
        row[:] = (
            patch.faces.below.data_ptr() + 3 * first,
            patch.faces.masks.data_ptr() + first,
            patch.start,
            box.width,
            box.height,
            region.left - box.left,
            region.top - box.top,
            max(region.width, 1),
            patch.plan.mask.size,
            np.float32(patch.blend_weight).view(np.int32),
        )


def blended(picture: Tensor, patch: Patch) -> Tensor:
    """(side, side, 3) uint8 -> the region's pixels, (height, width, 3) uint8; plain PyTorch."""
    box, region, first = patch.plan.box, patch.plan.region, patch.faces.starts[patch.frame]
    device, shape = picture.device, patch.plan.mask.shape
    pixels = slice(first, first + patch.plan.mask.size)
    below = patch.faces.below[pixels].view(*shape, 3).float()
    mask = patch.faces.masks[pixels].view(*shape, 1).float() * patch.blend_weight
    columns = range(region.left - box.left, region.right - box.left)
    rows = range(region.top - box.top, region.bottom - box.top)
    left, right, across = _taps(columns, picture.shape[1], box.width, device)
    upper, lower, down = _taps(rows, picture.shape[0], box.height, device)
    across, down = across[:, None], down[:, None, None]
    source = picture.to(torch.int32)

    def row_sum(at: Tensor) -> Tensor:
        chosen = source[at]
        return (chosen[:, left] * (ONE - across) + chosen[:, right] * across) >> 4

    above = ((row_sum(upper) * (ONE - down)) >> 16) + ((row_sum(lower) * down) >> 16)
    mixed = (((above + 2) >> 2) * mask + below * (255 - mask)) / NEARLY_255
    return mixed.round().to(torch.uint8)


def rgb_to_i420(picture: Tensor) -> Tensor:
    """(h, w, 3) uint8 RGB with even sides -> (h * 3 / 2, w) `I420`, as `media.i420.to_i420`."""
    height, width = picture.shape[:2]
    red, green, blue = picture.float().unbind(-1)
    luma, *chroma = (
        (red * row[0] + green * row[1] + blue * row[2] + row[3] + 0.5).to(torch.uint8)
        for row in BT601.rows
    )
    halves = [(plane.view(height // 2, 2, width // 2, 2).sum((1, 3)) + 2) // 4 for plane in chroma]
    planes = [luma.flatten(), *(half.to(torch.uint8).flatten() for half in halves)]
    return torch.cat(planes).view(height * 3 // 2, width)


def _taps(
    pixels: range, source: int, target: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """The two of `source` pixels that make each of some of `target`, and the second's weight.

    Example: 2 pixels resized to 4. The middles of the four lie at -0.25, 0.25, 0.75 and 1.25 of the
    source: pixel 1 is made of pixels 0 and 1, the second with the weight 0.25 * `ONE` = 512.
    """
    at = torch.arange(pixels.start, pixels.stop, dtype=torch.int32, device=device)
    # Twice `target` times where the pixel's middle lies, counted from the middle of the first.
    place = ((2 * at + 1) * source - target).clamp(min=0)
    # Beside the box there are no pixels, and no mask.
    first = (place // (2 * target)).clamp(max=source - 1)
    rest = place - first * (2 * target)
    weight = (rest * (2 * ONE) + 2 * target) // (4 * target)
    second = (first + 1).clamp(max=source - 1)
    return first, second, weight.where(first < source - 1, 0)


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None
