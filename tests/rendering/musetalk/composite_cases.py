"""Triton's composite against plain torch; run as a module, in Triton's interpreter.

python -m tests.rendering.musetalk.composite_cases
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.environ["TRITON_INTERPRET"] = "1"  # before the first import of it

import numpy as np
import torch
from torch import Tensor

from lipstream.rendering.musetalk.device_blend import (
    COLUMNS,
    Patch,
    blended,
    fill_table,
    keep_faces,
)
from tests.rendering.musetalk.faces import PLACES, SIDE, avatar_with_faces


def composites(device: torch.device, strength: float) -> tuple[Tensor, Tensor]:
    """What the kernel and what plain torch make of the same batch, uint8 both."""
    from lipstream.rendering.musetalk.composite_kernel import launch

    avatar, faces = avatar_with_faces(4)
    kept = keep_faces(avatar.frames, faces, device, torch.float32)
    patches: list[Patch] = []
    start = 0
    for index in range(len(PLACES)):
        plan = faces.plans[index]
        assert plan is not None
        patches.append(Patch(kept, index, plan, strength, start))
        start += patches[-1].size
    shape, random = (len(patches), SIDE, SIDE, 3), np.random.default_rng(5)
    pictures = torch.from_numpy(random.integers(0, 256, shape, np.uint8)).to(device)
    table = torch.zeros((len(patches), COLUMNS), dtype=torch.int64)
    fill_table(patches, table.numpy())
    out = torch.full((start,), 77, dtype=torch.uint8, device=device)
    launch(pictures, table.to(device), out, max(patch.size // 3 for patch in patches))
    plain = [
        blended(picture, patch).flatten() for picture, patch in zip(pictures, patches, strict=True)
    ]
    return out.cpu(), torch.cat(plain).cpu()


def check(device: str) -> list[str]:
    """What does not agree, a line each."""
    wrong = []
    for strength in (1.0, 0.3):
        found, expected = composites(torch.device(device), strength)
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
