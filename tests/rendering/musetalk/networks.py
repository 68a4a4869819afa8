"""Small networks with synthetic weights, and what it takes to compare them with others."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lipstream.rendering.musetalk.models.taesd import TaesdDecoder, TaesdDimensions
from lipstream.rendering.musetalk.models.unet import UNet, UNetDimensions
from lipstream.rendering.musetalk.models.vae import Vae, VaeDimensions
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks
from lipstream.speech.musetalk.backbone import SpeechNetwork
from tests.golden_cases.filling import config_of, fill_module

TINY_UNET: dict[str, Any] = {
    "act_fn": "silu",
    "attention_head_dim": 4,
    "block_out_channels": [8, 16, 16],
    "cross_attention_dim": 24,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "in_channels": 8,
    "layers_per_block": 2,
    "norm_num_groups": 4,
    "out_channels": 4,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
}
TINY_VAE: dict[str, Any] = {
    "act_fn": "silu",
    "block_out_channels": [8, 16, 16, 16],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
}

TINY_DECODER: dict[str, Any] = {
    "_class_name": "AutoencoderTiny",
    "act_fn": "relu",
    "decoder_block_out_channels": [8, 8, 8, 8],
    "encoder_block_out_channels": [8, 8, 8, 8],
    "force_upcast": False,
    "in_channels": 3,
    "latent_channels": 4,
    "latent_magnitude": 3,
    "latent_shift": 0.5,
    "num_decoder_blocks": [3, 3, 3, 1],
    "num_encoder_blocks": [1, 1, 1, 1],
    "out_channels": 3,
    "scaling_factor": 1.0,
    "upsampling_scaling_factor": 2,
}


def unet(config: dict[str, Any] = TINY_UNET) -> UNet:
    network = UNet(UNetDimensions.from_config(config))
    fill_module(network)
    return network


def vae(config: dict[str, Any] = TINY_VAE) -> Vae:
    network = Vae(VaeDimensions.from_config(config))
    fill_module(network)
    return network


def tiny_decoder(config: dict[str, Any] = TINY_DECODER) -> TaesdDecoder:
    network = TaesdDecoder(TaesdDimensions.from_config(config))
    fill_module(network)
    return network.requires_grad_(False)


def write_tiny_decoder(models: Path, config: dict[str, Any] = TINY_DECODER) -> TaesdDecoder:
    """A folder of weights with a small decoder in it, and something of its other half."""
    network, folder = tiny_decoder(config), models / "taesd"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    state = {f"decoder.{key}": value.contiguous() for key, value in network.state_dict().items()}
    state["encoder.layers.0.weight"] = torch.zeros(8, 3, 3, 3)
    save_file(state, folder / "diffusion_pytorch_model.safetensors")
    return network


def networks(
    unet_config: dict[str, Any] = TINY_UNET,
    vae_config: dict[str, Any] = TINY_VAE,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> MuseTalkNetworks:
    """UNet and autoencoder, without a speech network."""
    place: dict[str, Any] = {"device": device, "dtype": dtype}
    pair = unet(unet_config).to(**place), vae(vae_config).to(**place)
    for network in pair:
        network.requires_grad_(False)
    return MuseTalkNetworks("v15", *pair, cast(SpeechNetwork, None), torch.device(device), dtype)


@cache
def shared_networks(device: str = "cpu", dtype: torch.dtype = torch.float32) -> MuseTalkNetworks:
    """`networks` made once per worker, for tests that change nothing in them."""
    return networks(device=device, dtype=dtype)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def share_weights(one: nn.Module, other: nn.Module) -> None:
    """Make `other` use the tensors of `one`; every key must fit."""
    other.load_state_dict(one.state_dict(), strict=True, assign=True)
    other.train(False)


def saved(theirs: Any, folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config and the state dict of a network in the files of the published library."""
    theirs.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config, load_file(folder / "diffusion_pytorch_model.safetensors")


def channels_last(network: Any) -> None:
    """Lay out the weights as fast devices like them."""
    network.to(memory_format=torch.channels_last)


def published(name: str) -> tuple[Path, dict[str, object]]:
    """Manifest and config of a network of the published size."""
    manifest = Path(__file__).parents[2] / "golden" / "manifests" / f"{name}.json"
    return manifest, config_of(manifest)
