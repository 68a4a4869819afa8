"""The three networks as a folder of weights that `--models` reads, in half precision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from training.neural.configs import UNET, VAE, WHISPER


def export(states: Path, models: Path) -> None:
    """Write MODELS from the states of the three stages in the folder `states`."""
    vae = torch.load(states / "vae.pt")
    whisper = _written(models / "whisper", "config.json", WHISPER)
    save_file(_half(torch.load(states / "encoder.pt")), whisper / "model.safetensors")
    config = {**VAE, "scaling_factor": vae["scaling"]}
    autoencoder = _written(models / "sd-vae-ft-mse", "config.json", config)
    save_file(_half(vae["state"]), autoencoder / "diffusion_pytorch_model.safetensors")
    unet = _written(models / "musetalkV15", "musetalk.json", UNET)
    torch.save(_half(torch.load(states / "unet.pt")), unet / "unet.pth")
    for path in sorted(models.rglob("*.*")):
        print(f"{path.stat().st_size:>9,} {path.relative_to(models)}")


def _half(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.half().contiguous() for name, tensor in state.items()}


def _written(folder: Path, name: str, config: Mapping[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(config, indent=1) + "\n")
    return folder
