"""The autoencoder: input, posterior, the UNet's latents, and decoded pictures."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipstream.rendering.musetalk.models.vae import Vae, VaeDimensions, to_pictures
from tests.golden_cases.comparing import Case, label, near, not_compared, read_case
from tests.golden_cases.filling import built, config_of, gain_of, manifest_of
from tests.golden_cases.outcome import Outcome

LATENTS, RAW = 1e-4, 5e-4
SCALE = 4.8  # of the values at which these limits were set; larger ones may differ in proportion
ROUNDED, ROUNDED_SHARE = 1.0, 1e-3  # of uint8 values: how far, and how many
COMPARED = {
    *("pre_full_sub", "pre_half_sub", "ref_mean", "ref_std", "masked_mean", "masked_std"),
    *("latents_for_unet_mode", "latents_for_unet_sampled_torch_seed"),
    *("dec_raw_sub", "dec_u8_bgr"),
}


def check(path: Path) -> list[Outcome]:
    """Compare every array of one recording."""
    case = read_case(path)
    network = filled(manifest_of(path), gain_of(path, case))
    with torch.inference_mode():
        seen = check_encoder(path, case, network) + check_decoder(path, case, network)
    known = COMPARED | {"seed", "gain", "image_bgr", "dec_in"}
    return seen + not_compared(path, case, known)


def check_encoder(path: Path, case: Case, network: Vae) -> list[Outcome]:
    """The whole face and the one without its lower half, as far as the UNet's latents."""
    whole = network_input(case["image_bgr"])
    masked = whole.clone()
    masked[:, :, whole.shape[2] // 2 :] = -1.0
    full, half = network.posterior(whole), network.posterior(masked)
    scaling = network.dimensions.scaling
    ours = {
        "pre_full_sub": thinned(whole, case["pre_full_sub"]),
        "pre_half_sub": thinned(masked, case["pre_half_sub"]),
        "ref_mean": full[0],
        "ref_std": full[1],
        "masked_mean": half[0],
        "masked_std": half[1],
        "latents_for_unet_mode": torch.cat((half[0], full[0]), dim=1) * scaling,
    }
    if "latents_for_unet_sampled_torch_seed" in case:
        torch.manual_seed(int(case["seed"]))
        drawn = [mean + spread * torch.randn(mean.shape) for mean, spread in (half, full)]
        ours["latents_for_unet_sampled_torch_seed"] = torch.cat(drawn, dim=1) * scaling
    return [
        near(f"{label(path)} {name}", ours[name], case[name], limit(case[name], LATENTS))
        for name in ours
    ]


def check_decoder(path: Path, case: Case, network: Vae) -> list[Outcome]:
    """The UNet's latents, still scaled, to values and to a picture."""
    name, recorded, recorded_raw = label(path), case["dec_u8_bgr"], case["dec_raw_sub"]
    raw = network.decode(torch.from_numpy(case["dec_in"]) / network.dimensions.scaling)
    pictures = to_pictures(raw).numpy()[..., ::-1]
    seen = [
        near(
            f"{name} dec_raw_sub",
            thinned(raw, recorded_raw),
            recorded_raw,
            limit(recorded_raw, RAW),
        ),
        near(f"{name} dec_u8_bgr", pictures, recorded, ROUNDED),
    ]
    if pictures.shape == recorded.shape:
        other = float(np.mean(pictures != recorded))
        seen.append(Outcome(f"{name} dec_u8_bgr, share that differs", other, ROUNDED_SHARE))
    return seen


def limit(recorded: NDArray[Any], usual: float) -> float:
    """The limit for values as large as these."""
    return usual * max(1.0, float(np.abs(recorded).max()) / SCALE)


def network_input(image_bgr: NDArray[Any]) -> Tensor:
    """(H, W, 3) uint8 BGR -> (1, 3, H, W) RGB in -1..1"""
    rgb = torch.from_numpy(np.ascontiguousarray(image_bgr[:, :, ::-1]))
    return rgb.permute(2, 0, 1)[None] / 255.0 * 2.0 - 1.0


def thinned(whole: Tensor, recorded: NDArray[Any]) -> Tensor:
    """Every so many rows and columns, as the recording has them."""
    rows, columns = (whole.shape[axis] // recorded.shape[axis] for axis in (2, 3))
    return whole[:, :, ::rows, ::columns]


@lru_cache(maxsize=1)
def filled(manifest: Path, gain: float) -> Vae:
    """The network of a manifest with the recording's weights, loaded strictly."""
    return built(lambda: Vae(VaeDimensions.from_config(config_of(manifest))), manifest, gain)
