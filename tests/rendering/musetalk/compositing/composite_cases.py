"""Triton's composite against plain torch; run as a module, in Triton's interpreter.

python -m tests.rendering.musetalk.compositing.composite_cases
"""

from __future__ import annotations

import os
import sys
from itertools import product

if __name__ == "__main__":
    os.environ["TRITON_INTERPRET"] = "1"  # before the first import of it

import numpy as np
import torch
from torch import Tensor

from lipstream.rendering.base import PixelFormat
from lipstream.rendering.musetalk.compositing.blend_torch import (
    Patch,
    blended,
    fill_table,
    rgb_to_i420,
    upload_faces,
)
from lipstream.rendering.musetalk.compositing.fixed_point import COLUMNS
from tests.rendering.musetalk.faces import PLACES, SIDE, avatar_with_faces


def composites(
    device: torch.device, weight: float, pixel_format: PixelFormat
) -> tuple[Tensor, Tensor]:
    """The same batch by the kernel and by plain torch, uint8 both."""
    from lipstream.rendering.musetalk.compositing.blend_triton import launch

    avatar, faces = avatar_with_faces(4)
    loaded = upload_faces(avatar.frames, faces, device, torch.float32, pixel_format)
    patches: list[Patch] = []
    start = 0
    for index in range(len(PLACES)):
        patches.append(Patch(loaded, index, weight, start))
        start += patches[-1].size
    shape, random = (len(patches), SIDE, SIDE, 3), np.random.default_rng(5)
    pictures = torch.from_numpy(random.integers(0, 256, shape, np.uint8)).to(device)
    table = torch.zeros((len(patches), COLUMNS), dtype=torch.int64)
    fill_table(patches, table.numpy())
    out = torch.full((start,), 77, dtype=torch.uint8, device=device)
    largest = max(patch.plan.mask.size for patch in patches)
    launch(pictures, table.to(device), out, largest, i420=pixel_format == "i420")
    plain = [blended(picture, patch) for picture, patch in zip(pictures, patches, strict=True)]
    if pixel_format == "i420":
        plain = [rgb_to_i420(region) for region in plain]
    return out.cpu(), torch.cat([region.flatten() for region in plain]).cpu()


def check(device: str) -> list[str]:
    """A line for each disagreement."""
    wrong = []
    formats: tuple[PixelFormat, ...] = ("rgb24", "i420")
    for weight, pixel_format in product((1.0, 0.3), formats):
        found, expected = composites(torch.device(device), weight, pixel_format)
        away = (found.int() - expected.int()).abs()
        # A GPU may divide to the last bit but one: now and then that is the other side of a half.
        if away.max() > 1 or (away > 0).float().mean() > 0.001:
            share = float((away > 0).float().mean())
            most = int(away.max())
            wrong.append(f"{pixel_format}, weight {weight}: {most} at most, {share:.2%} of bytes")
    return wrong


if __name__ == "__main__":
    failures = check("cpu")
    print(*failures, sep="\n")
    sys.exit(bool(failures))
