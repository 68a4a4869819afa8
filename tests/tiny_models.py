"""A complete folder of weights with tiny networks, for tests that need MuseTalk to run on a CPU.

Weights follow the rule of the golden recordings: the same on every machine, without a meaning. Such
a network generates no mouth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lipstream.rendering.musetalk.models.unet import UNet, UNetDimensions
from lipstream.rendering.musetalk.models.vae import Vae, VaeDimensions
from lipstream.speech.musetalk.whisper import WhisperDimensions, WhisperEncoder
from tests import published_configs
from tests.golden_cases.fill import fill_array

WIDTH = 64  # of the audio; the published networks have 384

UNET = {
    **published_configs.UNET,
    "block_out_channels": [32, 64, 64, 64],
    "cross_attention_dim": WIDTH,
    "layers_per_block": 1,
    "norm_num_groups": 8,
}
VAE = {
    **published_configs.VAE,
    "block_out_channels": [16, 32, 32, 32],
    "layers_per_block": 1,
    "norm_num_groups": 8,
}
WHISPER = {
    "model_type": "whisper",
    "d_model": WIDTH,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 2 * WIDTH,
    "encoder_layers": 4,  # five states of ten steps are the 50 tokens of a frame
    "max_source_positions": 1500,
    "num_mel_bins": 80,
}


@dataclass(frozen=True, slots=True, eq=False)
class Sizes:
    """The configs of three networks that fit each other."""

    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    whisper: Mapping[str, Any]


TINY = Sizes(UNET, VAE, WHISPER)
PUBLISHED = Sizes(  # 3.8 GB of weights
    published_configs.UNET,
    published_configs.VAE,
    {
        **WHISPER,
        "d_model": 384,
        "encoder_attention_heads": 6,
        "encoder_ffn_dim": 1536,
    },
)
# So small that a processor keeps up with live speech: sound reaches the face in the middle of the
# UNet alone. Whisper takes 6 s, which is for live only.
LIVE = Sizes(
    {
        **UNET,
        "attention_head_dim": 1,
        "block_out_channels": [4, 4, 4, 4],
        "down_block_types": ["DownBlock2D"] * 4,
        "norm_num_groups": 4,
        "up_block_types": ["UpBlock2D"] * 4,
    },
    {**VAE, "block_out_channels": [1, 1, 1, 1], "norm_num_groups": 1},
    {**WHISPER, "max_source_positions": 300},
)


def write_models(
    folder: Path, version: str = "v15", safetensors: bool = True, sizes: Sizes = TINY
) -> Path:
    """The folder, with `version` of MuseTalk. `safetensors`: as pulled, else torch's own format."""
    unet, name = {"v15": ("musetalkV15", "unet.pth"), "v1": ("musetalk", "pytorch_model.bin")}[
        version
    ]
    _write(folder / unet, "musetalk.json", sizes.unet)
    torch.save(unet_state(sizes), folder / unet / name)
    _write(folder / "whisper", "config.json", sizes.whisper)
    vae = folder / "sd-vae-ft-mse"
    _write(vae, "config.json", sizes.vae)
    if safetensors:
        save_file(vae_state(sizes), vae / "diffusion_pytorch_model.safetensors")
        save_file(whisper_state(sizes), folder / "whisper" / "model.safetensors")
    else:
        torch.save(vae_state(sizes), vae / "diffusion_pytorch_model.bin")
        torch.save(whisper_state(sizes), folder / "whisper" / "pytorch_model.bin")
    return folder


@cache
def unet_state(sizes: Sizes = TINY) -> dict[str, Tensor]:
    return _filled(UNet(UNetDimensions.from_config(sizes.unet)))


@cache
def vae_state(sizes: Sizes = TINY) -> dict[str, Tensor]:
    """Under the names of today."""
    return _filled(Vae(VaeDimensions.from_config(sizes.vae)))


@cache
def whisper_state(sizes: Sizes = TINY) -> dict[str, Tensor]:
    """As published: every name begins with `model.`, and there is a decoder."""
    encoder = _filled(WhisperEncoder(WhisperDimensions.from_config(sizes.whisper)))
    decoder = {"model.decoder.layer_norm.weight": torch.ones(sizes.whisper["d_model"])}
    return {f"model.{name}": tensor for name, tensor in encoder.items()} | decoder


def _filled(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: torch.from_numpy(fill_array(name, tensor.shape))
        for name, tensor in network.state_dict().items()
    }


def _write(folder: Path, name: str, config: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(config))
