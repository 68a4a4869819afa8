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

from lipstream.rendering.musetalk.compositing.blend_torch import (
    Patch,
    blended,
    fill_table,
    keep_faces,
    to_planes,
)
from lipstream.rendering.musetalk.compositing.fixed_point import COLUMNS
from tests.rendering.musetalk.faces import PLACES, SIDE, avatar_with_faces


def composites(device: torch.device, strength: float, planes: bool) -> tuple[Tensor, Tensor]:
    """What the kernel and what plain torch make of the same batch, uint8 both."""
    from lipstream.rendering.musetalk.compositing.blend_triton import launch

    avatar, faces = avatar_with_faces(4)
    kept = keep_faces(avatar.frames, faces, device, torch.float32, planes)
    patches: list[Patch] = []
    start = 0
    for index in range(len(PLACES)):
        patches.append(Patch(kept, index, strength, start))
        start += patches[-1].size
    shape, random = (len(patches), SIDE, SIDE, 3), np.random.default_rng(5)
    pictures = torch.from_numpy(random.integers(0, 256, shape, np.uint8)).to(device)
    table = torch.zeros((len(patches), COLUMNS), dtype=torch.int64)
    fill_table(patches, table.numpy())
    out = torch.full((start,), 77, dtype=torch.uint8, device=device)
    largest = max(patch.plan.mask.size for patch in patches)
    launch(pictures, table.to(device), out, largest, planes=planes)
    plain = [blended(picture, patch) for picture, patch in zip(pictures, patches, strict=True)]
    if planes:
        plain = [to_planes(region) for region in plain]
    return out.cpu(), torch.cat([region.flatten() for region in plain]).cpu()


def check(device: str) -> list[str]:
    """What does not agree, a line each."""
    wrong = []
    for strength, planes in product((1.0, 0.3), (False, True)):
        found, expected = composites(torch.device(device), strength, planes)
        away = (found.int() - expected.int()).abs()
        # A GPU may divide to the last bit but one: now and then that is the other side of a half.
        if away.max() > 1 or (away > 0).float().mean() > 0.001:
            share = float((away > 0).float().mean())
            most = int(away.max())
            what = "planes" if planes else "RGB"
            wrong.append(f"{what}, strength {strength}: {most} at most, {share:.2%} of bytes")
    return wrong


if __name__ == "__main__":
    failures = check("cpu")
    print(*failures, sep="\n")
    sys.exit(bool(failures))
