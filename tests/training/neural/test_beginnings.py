"""The networks before they learn anything: a thumbnail, a copy."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.nn import functional as F

from lipstream.rendering.musetalk.models.unet import add_positions
from training.neural import autoencoder, generator
from training.neural.configs import new_unet, new_vae


def _alike(one: Tensor, other: Tensor) -> float:
    return float(np.corrcoef(one.flatten(), other.flatten())[0, 1])


@torch.no_grad()
def test_the_autoencoder_begins_as_a_thumbnail_in_colour() -> None:
    torch.manual_seed(0)
    network = new_vae().eval()
    autoencoder.begin(network)
    coarse = torch.rand(1, 3, 8, 8) * 1.6 - 0.8
    picture = F.interpolate(coarse, size=(128, 128), mode="bilinear")
    latents, thumbnail = network.encode(picture), F.avg_pool2d(picture, 8)
    made = network.decode(latents)
    for colour in range(3):
        assert _alike(latents[:, colour], thumbnail[:, colour]) > 0.99
        inside = made[:, colour, 16:-16, 16:-16], picture[:, colour, 16:-16, 16:-16]
        assert _alike(*inside) > 0.97
        assert float((inside[0] - inside[1]).mean().abs()) < 0.05


@torch.no_grad()
def test_the_unet_begins_as_a_copy_of_the_whole_face() -> None:
    torch.manual_seed(0)
    network = new_unet().eval()
    generator.begin(network)
    masked, whole = torch.randn(2, 1, 4, 32, 32)
    made = network(torch.cat([masked, whole], dim=1), add_positions(torch.randn(1, 50, 64)))
    assert min(_alike(made[:, at], whole[:, at]) for at in range(4)) > 0.99


def test_errors_in_the_mouth_weigh_most() -> None:
    weight = generator.mouth_weight()[0, 0]
    assert weight[24, 16] == weight.max() >= 50 * weight[4, 16]
