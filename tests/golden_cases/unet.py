"""The UNet at timestep 0, with audio and with silence."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from lipstream.rendering.musetalk.models.unet import UNet, UNetDimensions, add_positions
from tests.golden_cases.comparing import label, near, not_compared, read_case
from tests.golden_cases.filling import built, config_of, gain_of, manifest_of
from tests.golden_cases.outcome import Outcome

LIMIT = 1e-4
LIMIT_TINY = 1e-5  # only this one sees a wrong epsilon of the norms


def check(path: Path) -> list[Outcome]:
    """Compare every array of one recording."""
    case = read_case(path)
    network = filled(manifest_of(path), gain_of(path, case))
    limit = LIMIT if max(network.dimensions.widths) > 256 else LIMIT_TINY
    latents, audio = (torch.from_numpy(case[name]) for name in ("latents", "prompts"))
    with torch.inference_mode():
        spoken = network(latents, add_positions(audio))
        silent = network(latents, add_positions(torch.zeros_like(audio)))
    return [
        near(f"{label(path)} out", spoken, case["out"], limit),
        near(f"{label(path)} out_zero_prompt", silent, case["out_zero_prompt"], limit),
        *not_compared(path, case, {"seed", "gain", "latents", "prompts", "out", "out_zero_prompt"}),
    ]


@lru_cache(maxsize=1)
def filled(manifest: Path, gain: float) -> UNet:
    """The network of a manifest with the recording's weights, loaded strictly."""
    return built(lambda: UNet(UNetDimensions.from_config(config_of(manifest))), manifest, gain)
