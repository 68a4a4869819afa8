"""The published configs are read, and describe networks of exactly the published sizes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import torch
from torch import nn

from lipstream.rendering.musetalk.models.unet import UNet, UNetDimensions
from lipstream.rendering.musetalk.models.vae import Vae, VaeDimensions
from lipstream.rendering.musetalk.weights.loader import SkipInit
from lipstream.weights.catalogue import MUSETALK, Content
from tests import published_configs

# The tensors and numbers that a public converter of the files to another format states.
UNET_TENSORS, UNET_NUMBERS = 686, 849_947_844
VAE_TENSORS, VAE_NUMBERS = 248, 83_653_863
FLOAT = 4  # bytes


def published(target: str) -> Content:
    (found,) = [file.published for file in MUSETALK.files if file.target == target]
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("config", "target"),
    [
        (published_configs.UNET, "musetalkV15/musetalk.json"),
        (published_configs.UNET, "musetalk/musetalk.json"),
        (published_configs.VAE, "sd-vae-ft-mse/config.json"),
    ],
)
def test_the_configs_are_the_published_files(config: dict[str, Any], target: str) -> None:
    text = published_configs.text_of(config)
    assert Content(len(text), hashlib.sha256(text).hexdigest()) == published(target)


def count(network: nn.Module) -> tuple[int, int]:
    state = network.state_dict()
    return len(state), sum(tensor.numel() for tensor in state.values())


def test_the_unet_is_as_large_as_its_file() -> None:
    config = json.loads(published_configs.text_of(published_configs.UNET))
    dimensions = UNetDimensions.from_config(config)
    with torch.device("meta"), SkipInit():
        assert count(UNet(dimensions)) == (UNET_TENSORS, UNET_NUMBERS)
    for target in ("musetalkV15/unet.pth", "musetalk/pytorch_model.bin"):
        around = published(target).size - UNET_NUMBERS * FLOAT
        assert 0 < around < 600 * UNET_TENSORS  # names, shapes and the padding of a zip


def test_the_autoencoder_is_as_large_as_its_file() -> None:
    config = json.loads(published_configs.text_of(published_configs.VAE))
    dimensions = VaeDimensions.from_config(config)
    assert dimensions.scaling == 0.18215  # which the file leaves out
    with torch.device("meta"), SkipInit():
        assert count(Vae(dimensions)) == (VAE_TENSORS, VAE_NUMBERS)
    around = published("sd-vae-ft-mse/diffusion_pytorch_model.safetensors").size
    assert 0 < around - VAE_NUMBERS * FLOAT < 200 * VAE_TENSORS
