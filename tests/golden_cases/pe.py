"""The places of audio tokens in their frame."""

from __future__ import annotations

from pathlib import Path

import torch

from lipstream.rendering.musetalk.models.unet import add_positions
from tests.golden_cases.comparing import label, near, not_compared, read_case
from tests.golden_cases.outcome import Outcome

LIMIT = 1e-6


def check(path: Path) -> list[Outcome]:
    """Compare the table and what becomes of the tokens."""
    case = read_case(path)
    tokens = torch.from_numpy(case["x"])
    with torch.inference_mode():
        table = add_positions(torch.zeros_like(tokens[:1]))[0].numpy()
        placed = add_positions(tokens).numpy()
    return [
        near(f"{label(path)} table", table, case["table"], LIMIT),
        near(f"{label(path)} y", placed, case["y"], LIMIT),
        *not_compared(path, case, {"x", "table", "y", "seed"}),
    ]
