"""Triton's composite against plain torch; run as a module, in Triton's interpreter.

python -m tests.rendering.musetalk.composite_cases
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if __name__ == "__main__":
    os.environ["TRITON_INTERPRET"] = "1"  # before the first import of it

import numpy as np
import torch
from torch import Tensor

from lipstream.avatar.avatar import AvatarFrame
from lipstream.rendering.musetalk.device_blend import (
    COLUMNS,
    Patch,
    blended,
    fill_table,
    keep_faces,
)
from lipstream.video import Box

if TYPE_CHECKING:
    from lipstream.rendering.musetalk.blending import BlendPlan
    from lipstream.rendering.musetalk.preparation import MuseFaces

# Boxes of faces and the part of each that changes, in a picture of 90 x 80.
PLACES = [
    (Box(10, 5, 41, 43), Box(12, 20, 40, 43)),
    (Box(-9, 10, 30, 70), Box(0, 33, 29, 64)),
    (Box(20, 20, 36, 36), Box(20, 28, 36, 36)),  # exactly half of what is painted
    (Box(20, 20, 52, 52), Box(24, 30, 47, 50)),  # exactly as large
    (Box(50, 8, 88, 71), Box(50, 41, 51, 71)),  # one pixel wide
    (Box(60, 60, 100, 100), Box(60, 60, 60, 60)),  # nothing changes
]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """As `BlendPlan`, which needs OpenCV to be imported."""

    box: Box
    region: Box
    mask: object


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """As `MuseFaces`, likewise."""

    latents: object
    plans: object


def patches(device: torch.device, strength: float = 1.0, side: int = 32) -> tuple[Tensor, Tensor]:
    """What the kernel and what plain torch make of the same batch, uint8 both."""
    from lipstream.rendering.musetalk.composite_kernel import launch

    random = np.random.default_rng(4)
    plans = [
        Plan(box, region, random.integers(0, 256, (region.height, region.width), np.uint8))
        for box, region in PLACES
    ]
    frames = [AvatarFrame(random.integers(0, 256, (80, 90, 3), np.uint8), None) for _ in plans]
    latents = np.zeros((len(plans), 8, 4, 4), np.float32)
    faces = cast("MuseFaces", Faces(latents, plans))
    kept = keep_faces(frames, faces, device, torch.float32)
    batch, start = [], 0
    for index, plan in enumerate(plans):
        batch.append(Patch(kept, index, cast("BlendPlan", plan), strength, start))
        start += batch[-1].size
    pictures = torch.from_numpy(random.integers(0, 256, (len(plans), side, side, 3), np.uint8))
    pictures = pictures.to(device)
    table = torch.zeros((len(plans), COLUMNS), dtype=torch.int64)
    fill_table(batch, table.numpy())
    out = torch.full((start,), 77, dtype=torch.uint8, device=device)
    launch(pictures, table.to(device), out, max(patch.size // 3 for patch in batch))
    plain = [
        blended(picture, patch).flatten() for picture, patch in zip(pictures, batch, strict=True)
    ]
    return out.cpu(), torch.cat(plain).cpu()


def check(device: str) -> list[str]:
    """What does not agree, a line each."""
    wrong = []
    for strength in (1.0, 0.3):
        found, expected = patches(torch.device(device), strength)
        away = (found.int() - expected.int()).abs()
        # A GPU may divide to the last bit but one: now and then that is the other side of a half.
        if away.max() > 1 or (away > 0).float().mean() > 0.001:
            share = float((away > 0).float().mean())
            wrong.append(f"strength {strength}: {int(away.max())} at most, {share:.2%} of bytes")
    return wrong


if __name__ == "__main__":
    failures = check("cpu")
    print(*failures, sep="\n")
    sys.exit(bool(failures))
