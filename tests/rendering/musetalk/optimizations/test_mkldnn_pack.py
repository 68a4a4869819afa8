from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

import torch

from lipstream.rendering.musetalk.optimizations.mkldnn_pack import (
    UNITS,
    PrepackedConv,
    can_prepack,
    gains_from_bfloat16,
    prepack,
)
from tests.rendering.musetalk.networks import channels_last, drawn, unet, vae

needs_prepacking = pytest.mark.skipif(not can_prepack(), reason="this torch cannot prepack weights")


@pytest.mark.slow
@needs_prepacking
def test_prepacking_changes_nothing() -> None:
    plain, prepacked = unet().bfloat16(), unet().bfloat16()
    for network in (plain, prepacked):
        channels_last(network)
        network.fold_time()
    assert prepack(prepacked)
    assert set(prepacked.state_dict()) == set(plain.state_dict())
    assert any(isinstance(module, PrepackedConv) for module in prepacked.modules())
    audio = drawn(2, 10, 24).bfloat16()
    for side in (8, 16, 32):
        latents = drawn(2, 8, side, side).bfloat16()
        for given in (latents, latents.contiguous(memory_format=torch.channels_last)):
            with torch.inference_mode():
                difference = (prepacked(given, audio) - plain(given, audio)).abs().max()
            assert difference < 0.05


@needs_prepacking
def test_prepacking_twice_is_prepacking_once() -> None:
    network = vae().bfloat16()
    assert prepack(network) and prepack(network)
    with torch.inference_mode():
        assert network.decode(drawn(1, 4, 8, 8).bfloat16()).shape == (1, 3, 64, 64)


def test_other_precisions_stay_as_they_are() -> None:
    network = unet()
    assert not prepack(network)
    assert not any(isinstance(module, PrepackedConv) for module in network.modules())


@pytest.mark.parametrize(
    ("units", "gains"),
    [((), False), (UNITS[:1], True), (UNITS[1:], True)],
    ids=["no units", "AVX-512", "AMX"],
)
def test_bfloat16_gains_where_there_are_units(
    monkeypatch: pytest.MonkeyPatch, units: tuple[str, ...], gains: bool
) -> None:
    for name in UNITS:
        monkeypatch.setattr(torch.cpu, name, lambda there=name in units: there, raising=False)
    assert gains_from_bfloat16() == (gains and can_prepack())


def test_a_torch_that_knows_no_units_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in UNITS:
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not gains_from_bfloat16()
