"""Putting painted faces back on the device that painted them: `blending.blend` without the host.

Only the pixels that change are computed, and only they leave the device. The arithmetic is that of
OpenCV's bilinear resize and of `blending.mix`, in integers as there: bytes differ by one at most,
and rarely; where a mask is zero none does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lipstream.media.i420 import BT601, pad_to_even
from lipstream.rendering.musetalk.compositing.background import (
    Background,
    I420Background,
    RgbBackground,
    even_plan,
)
from lipstream.rendering.musetalk.compositing.fixed_point import COLUMNS, NEARLY_255, ONE, PIXELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.avatar.avatar import AvatarFrame
    from lipstream.media.image import I420, Image
    from lipstream.rendering.musetalk.compositing.blend import BlendPlan
    from lipstream.rendering.musetalk.preprocess.prepare import MuseFaces


@dataclass(frozen=True, slots=True, eq=False)
class KeptFaces:
    """What the device keeps of one avatar."""

    latents: Tensor  # (frames, 8, h, w)
    below: Tensor  # (pixels, 3) uint8: what lies under the regions of all frames, joined
    masks: Tensor  # (pixels,) uint8
    starts: tuple[int, ...]  # per frame, the first pixel of its region
    plans: tuple[BlendPlan | None, ...]
    background: Background
    planes: bool  # what changes is converted to planes, and regions are of whole 2x2 pixels


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One painted face and where it goes."""

    kept: KeptFaces
    frame: int  # of the avatar; it has a face
    strength: float
    start: int  # of its bytes among those of the batch

    @property
    def plan(self) -> BlendPlan:
        plan = self.kept.plans[self.frame]
        assert plan is not None
        return plan

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the bytes that change, RGB or planes."""
        height, width = self.plan.mask.shape
        return (height * 3 // 2, width) if self.kept.planes else (height, width, 3)

    @property
    def size(self) -> int:
        """Bytes that change."""
        return math.prod(self.shape)


def keep_faces(
    frames: Sequence[AvatarFrame],
    faces: MuseFaces,
    device: torch.device,
    dtype: torch.dtype,
    planes: bool = False,
) -> KeptFaces:
    """Copy what all frames of an avatar need; returns when the device has it."""

    def convert(picture: Image) -> I420:
        return np.asarray(to_planes(torch.tensor(picture, device=device)).cpu().numpy(), np.uint8)

    plans = tuple(faces.plans)
    if planes:
        plans = tuple(None if plan is None else even_plan(plan) for plan in plans)
    sizes = [0 if plan is None else int(plan.mask.size) for plan in plans]
    starts = tuple(accumulate(sizes, initial=0))
    below, masks = np.empty((starts[-1], 3), np.uint8), np.empty(starts[-1], np.uint8)
    for frame, plan, start, size in zip(frames, plans, starts, sizes, strict=False):
        if plan is not None and size:
            pixels = pad_to_even(frame.pixels) if planes else frame.pixels
            below[start : start + size] = pixels[plan.region.slices].reshape(-1, 3)
            masks[start : start + size] = plan.mask.ravel()
    kept = KeptFaces(
        torch.tensor(faces.latents).to(device, dtype),
        torch.from_numpy(below).to(device),
        torch.from_numpy(masks).to(device),
        starts[:-1],
        plans,
        I420Background(frames, convert) if planes else RgbBackground(frames),
        planes,
    )
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
    return kept


def composite(pictures: Tensor, patches: Sequence[Patch], table: Tensor, out: Tensor) -> None:
    """Write the bytes that change of all `patches` into `out`, each from its start on.

    `pictures`: (n, side, side, 3) uint8, one per patch. `table`: what `fill_table` made of the same
    patches, on the device. `out`: (bytes,) uint8. All patches give RGB, or all give planes. Waits
    for nothing where the device is a GPU.
    """
    if pictures.is_cuda and _kernel_there():
        from lipstream.rendering.musetalk.compositing.blend_triton import launch

        largest = max((patch.plan.mask.size for patch in patches), default=0)
        launch(pictures, table, out, largest, planes=any(patch.kept.planes for patch in patches))
        return
    for picture, patch in zip(pictures, patches, strict=True):
        if patch.size:
            changed = blended(picture, patch)
            changed = to_planes(changed) if patch.kept.planes else changed
            out[patch.start : patch.start + patch.size] = changed.flatten()


def rehearse(pictures: Tensor, planes: bool = False) -> None:
    """Compile what `composite` needs for pictures like these, so that no batch waits for it."""
    if pictures.is_cuda and _kernel_there():
        from lipstream.rendering.musetalk.compositing.blend_triton import launch

        table = torch.ones((1, COLUMNS), dtype=torch.int64, device=pictures.device)
        table[:, PIXELS] = 0  # so that no address is followed
        launch(pictures[:1], table, torch.zeros_like(pictures[0]).flatten(), 1, planes=planes)


def fill_table(patches: Sequence[Patch], table: NDArray[np.int64]) -> None:
    """Describe patches to the kernel, a row each; addresses are good while the patches live."""
    for row, patch in zip(table, patches, strict=True):
        box, region = patch.plan.box, patch.plan.region
        first = patch.kept.starts[patch.frame]
        row[:] = (
            patch.kept.below.data_ptr() + 3 * first,
            patch.kept.masks.data_ptr() + first,
            patch.start,
            box.width,
            box.height,
            region.left - box.left,
            region.top - box.top,
            max(region.width, 1),
            patch.plan.mask.size,
            np.float32(patch.strength).view(np.int32),
        )


def blended(picture: Tensor, patch: Patch) -> Tensor:
    """(side, side, 3) uint8 -> the region's pixels, (height, width, 3) uint8; plain PyTorch."""
    box, region, first = patch.plan.box, patch.plan.region, patch.kept.starts[patch.frame]
    device, shape = picture.device, patch.plan.mask.shape
    last = first + patch.plan.mask.size
    below = patch.kept.below[first:last].view(*shape, 3).float()
    mask = patch.kept.masks[first:last].view(*shape, 1).float() * patch.strength
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


def to_planes(picture: Tensor) -> Tensor:
    """(height, width, 3) uint8 RGB with even sides -> (height * 3 / 2, width) uint8 `I420`.

    Chroma is the mean of four pixels, rounded before and after, as in `planes.to_i420`.
    """
    height, width = picture.shape[:2]
    red, green, blue = picture.float().unbind(-1)
    luma, *chroma = (
        (red * row[0] + green * row[1] + blue * row[2] + row[3] + 0.5).to(torch.uint8)
        for row in BT601.rows
    )
    halves = [(plane.view(height // 2, 2, width // 2, 2).sum((1, 3)) + 2) // 4 for plane in chroma]
    return torch.cat([luma.flatten(), *(half.to(torch.uint8).flatten() for half in halves)]).view(
        height * 3 // 2, width
    )


def _taps(
    pixels: range, source: int, target: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Which two of `source` pixels make each of some of `target`, and the second's weight."""
    at = torch.arange(pixels.start, pixels.stop, dtype=torch.int32, device=device)
    # Twice `target` times where the pixel's middle lies, counted from the middle of the first.
    place = ((2 * at + 1) * source - target).clamp(min=0)
    # Beside the box there is nothing, and no mask.
    first = (place // (2 * target)).clamp(max=source - 1)
    rest = place - first * (2 * target)
    weight = (rest * (2 * ONE) + 2 * target) // (4 * target)
    second = (first + 1).clamp(max=source - 1)
    return first, second, weight.where(first < source - 1, 0)


@cache
def _kernel_there() -> bool:
    return find_spec("triton") is not None
