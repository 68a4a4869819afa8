"""Putting painted faces back on the device that painted them: `blending.blend` without the host.

Only the pixels that change are computed, and only they leave the device. The arithmetic is that of
OpenCV's bilinear resize and of `blending.mix`, in integers as there: bytes differ by one at most,
and rarely; where a mask is zero none does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.avatar.avatar import AvatarFrame
    from lipstream.rendering.musetalk.blending import BlendPlan
    from lipstream.rendering.musetalk.preparation import MuseFaces

# OpenCV's fixed point: weights of a row and of a column sum up to this. The sum of a row loses four
# bits, its product with a column's weight sixteen; two of the bits left are rounded away.
ONE = 2048
COLUMNS, PIXELS = 10, 8  # of a patch in its table, and where its number of pixels stands
NEARLY_255 = 255.00001  # what OpenCV divides mixed bytes by


@dataclass(frozen=True, slots=True, eq=False)
class KeptFaces:
    """What the device keeps of one avatar."""

    latents: Tensor  # (frames, 8, h, w)
    below: Tensor  # (pixels, 3) uint8: what lies under the regions of all frames, joined
    masks: Tensor  # (pixels,) uint8
    starts: tuple[int, ...]  # per frame, the first pixel of its region


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One painted face and where it goes."""

    kept: KeptFaces
    frame: int  # of the avatar
    plan: BlendPlan
    strength: float
    start: int  # of its bytes among those of the batch

    @property
    def size(self) -> int:
        """Bytes of the pixels that change."""
        return 3 * int(self.plan.mask.size)


def keep_faces(
    frames: Sequence[AvatarFrame], faces: MuseFaces, device: torch.device, dtype: torch.dtype
) -> KeptFaces:
    """Copy what all frames of an avatar need; returns when the device has it."""
    sizes = [0 if plan is None else int(plan.mask.size) for plan in faces.plans]
    starts = tuple(accumulate(sizes, initial=0))
    below, masks = np.empty((starts[-1], 3), np.uint8), np.empty(starts[-1], np.uint8)
    for frame, plan, start, size in zip(frames, faces.plans, starts, sizes, strict=False):
        if plan is not None and size:
            below[start : start + size] = frame.pixels[plan.region.slices].reshape(-1, 3)
            masks[start : start + size] = plan.mask.ravel()
    kept = KeptFaces(
        torch.tensor(faces.latents).to(device, dtype),
        torch.from_numpy(below).to(device),
        torch.from_numpy(masks).to(device),
        starts[:-1],
    )
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
    return kept


def composite(pictures: Tensor, patches: Sequence[Patch], table: Tensor, out: Tensor) -> None:
    """Write the pixels that change of all `patches` into `out`, each from its start on.

    `pictures`: (n, side, side, 3) uint8, one per patch. `table`: what `fill_table` made of the same
    patches, on the device. `out`: (bytes,) uint8. Waits for nothing where the device is a GPU.
    """
    if pictures.is_cuda and _kernel_there():
        from lipstream.rendering.musetalk.composite_kernel import launch

        launch(pictures, table, out, max((patch.plan.mask.size for patch in patches), default=0))
        return
    for picture, patch in zip(pictures, patches, strict=True):
        if patch.size:
            out[patch.start : patch.start + patch.size] = blended(picture, patch).flatten()


def rehearse(pictures: Tensor) -> None:
    """Compile what `composite` needs for pictures like these, so that no batch waits for it."""
    if pictures.is_cuda and _kernel_there():
        from lipstream.rendering.musetalk.composite_kernel import launch

        table = torch.ones((1, COLUMNS), dtype=torch.int64, device=pictures.device)
        table[:, PIXELS] = 0  # so that no address is followed
        launch(pictures[:1], table, torch.zeros_like(pictures[0]).flatten(), 1)


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


def _taps(
    pixels: range, source: int, target: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Which two of `source` pixels make each of some of `target`, and the second's weight."""
    at = torch.arange(pixels.start, pixels.stop, dtype=torch.int32, device=device)
    # Twice `target` times where the pixel's middle lies, counted from the middle of the first.
    place = ((2 * at + 1) * source - target).clamp(min=0)
    first = place // (2 * target)
    rest = place - first * (2 * target)
    weight = (rest * (2 * ONE) + 2 * target) // (4 * target)
    second = (first + 1).clamp(max=source - 1)
    return first, second, weight.where(first < source - 1, 0)


@cache
def _kernel_there() -> bool:
    return find_spec("triton") is not None
