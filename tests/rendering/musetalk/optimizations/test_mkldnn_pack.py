from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

import torch

from lipstream.rendering.musetalk.optimizations.mkldnn_pack import PackedConv, pack, packable
from tests.rendering.musetalk.networks import channels_last, drawn, unet, vae

can_pack = pytest.mark.skipif(not packable(), reason="this torch cannot pack weights")


@can_pack
def test_packing_changes_nothing() -> None:
    plain, packed = unet().bfloat16(), unet().bfloat16()
    for network in (plain, packed):
        channels_last(network)
        network.fold_time()
    assert pack(packed)
    assert set(packed.state_dict()) == set(plain.state_dict())
    assert any(isinstance(module, PackedConv) for module in packed.modules())
    audio = drawn(2, 10, 24).bfloat16()
    for side in (8, 16, 32):
        latents = drawn(2, 8, side, side).bfloat16()
        for given in (latents, latents.contiguous(memory_format=torch.channels_last)):
            with torch.inference_mode():
                difference = (packed(given, audio) - plain(given, audio)).abs().max()
            assert difference < 0.05


@can_pack
def test_packing_twice_is_packing_once() -> None:
    network = vae().bfloat16()
    assert pack(network) and pack(network)
    with torch.inference_mode():
        assert network.decode(drawn(1, 4, 8, 8).bfloat16()).shape == (1, 3, 64, 64)


def test_other_precisions_stay_as_they_are() -> None:
    network = unet()
    assert not pack(network)
    assert not any(isinstance(module, PackedConv) for module in network.modules())
