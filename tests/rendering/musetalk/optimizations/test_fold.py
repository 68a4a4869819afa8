from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

import torch
from torch.nn import functional as F

from lipstream.rendering.musetalk.models.layers import Upsample
from lipstream.rendering.musetalk.models.vae import Vae
from lipstream.rendering.musetalk.optimizations.fold import (
    FoldedUpsample,
    OnesConv,
    fold_outputs,
    fold_scales,
)
from tests.rendering.musetalk.networks import drawn, vae


@torch.inference_mode()
def test_doubling_after_the_convolution_is_a_transposed_convolution() -> None:
    plain = Upsample(6).double()
    weight = plain.conv.weight
    rows = torch.stack(
        [weight[:, :, 2], weight[:, :, 1:].sum(2), weight[:, :, :2].sum(2), weight[:, :, 0]], dim=2
    )
    taps = torch.stack([rows[..., 2], rows[..., 1:].sum(3), rows[..., :2].sum(3), rows[..., 0]], 3)
    x = drawn(2, 6, 5, 3).double()
    expected = F.conv_transpose2d(x, taps.transpose(0, 1), plain.conv.bias, 2, 1)
    torch.testing.assert_close(plain(x), expected, rtol=0, atol=1e-14)
    torch.testing.assert_close(FoldedUpsample(plain.conv)(x), expected, rtol=0, atol=1e-14)


@torch.inference_mode()
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (9, 7), (10, 7), (9, 8), (10, 8)], ids=str)
def test_every_size_that_a_way_down_can_ask_for(size: tuple[int, int]) -> None:
    plain = Upsample(4).double()
    x = drawn(1, 4, -(-size[0] // 2), -(-size[1] // 2)).double()
    target = torch.Size(size)
    torch.testing.assert_close(FoldedUpsample(plain.conv)(x, target), plain(x, target))


@torch.inference_mode()
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=str)
def test_the_memory_format_is_kept(layout: torch.memory_format) -> None:
    folded = FoldedUpsample(Upsample(4).conv)
    x = drawn(2, 4, 6, 5).contiguous(memory_format=layout)
    assert folded(x).is_contiguous(memory_format=layout)


@torch.inference_mode()
@pytest.mark.parametrize("fold", [fold_scales, fold_outputs])
def test_folding_an_autoencoder_twice_is_folding_it_once(fold: Callable[[Vae], None]) -> None:
    network, latents = vae().double(), drawn(2, 4, 5, 6).double()
    expected = network.decode(latents)
    for _ in range(2):
        fold(network)
        torch.testing.assert_close(network.decode(latents), expected, rtol=0, atol=1e-12)
        scaled = latents * network.dimensions.scaling
        torch.testing.assert_close(network.decode_scaled(scaled), expected, rtol=0, atol=1e-12)


def test_a_bias_before_the_border_is_kept_from_beyond_it() -> None:
    network = vae().double()
    fold_scales(network)
    conv_in = network.decoder.conv_in
    assert isinstance(conv_in, OnesConv)
    black = conv_in(torch.zeros(1, 4, 4, 4).double())
    assert not torch.allclose(black[:, :, 0, 0], black[:, :, 1, 1], atol=1e-3)
    assert torch.allclose(black[:, :, 1, 1], black[:, :, 2, 2], atol=1e-12)
