from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

import torch

from lipstream.errors import CheckpointError, MissingError
from lipstream.rendering.musetalk.models.taesd import TaesdDimensions, decoder_state
from lipstream.rendering.musetalk.weights.loader import load_taesd
from tests.rendering.musetalk.networks import (
    TINY_DECODER,
    drawn,
    share_weights,
    tiny_decoder,
    write_tiny_decoder,
)

VARIANTS: list[dict[str, Any]] = [
    {},
    {"act_fn": "mish"},
    {"num_decoder_blocks": [1, 2, 1, 2]},
    {"decoder_block_out_channels": [12] * 4},
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"act_fn": "selu"}, "act_fn"),
    ({"decoder_block_out_channels": [8, 8, 4, 4]}, "decoder_block_out_channels"),
    ({"num_decoder_blocks": [3, 3, 1]}, "num_decoder_blocks"),
    ({"upsampling_scaling_factor": 4}, "upsampling_scaling_factor"),
    ({"upsample_fn": "bilinear"}, "upsample_fn"),
    ({"shift_factor": 0.1}, "shift_factor"),
    ({"scaling_factor": 0}, "scaling_factor"),
    ({"_class_name": "AutoencoderKL"}, "AutoencoderKL"),
    ({"something_new": 1}, "something_new"),
]
LATENTS = drawn(2, 4, 6, 5) * 3


@torch.inference_mode()
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_value_of_the_config_is_honoured(variant: dict[str, Any], tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers", reason="comparing needs diffusers, an extra: dev")
    config = {key: value for key, value in (TINY_DECODER | variant).items() if key[0] != "_"}
    ours, theirs = tiny_decoder(config), diffusers.AutoencoderTiny(**config)
    share_weights(ours, theirs.decoder)
    expected = theirs.decode(LATENTS / theirs.config.scaling_factor).sample
    torch.testing.assert_close(ours(LATENTS), expected, rtol=0, atol=1e-5)
    theirs.save_pretrained(tmp_path / "taesd")
    loaded = load_taesd(tmp_path, "cpu", torch.float32)
    torch.testing.assert_close(loaded(LATENTS), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("variant", "named"), REFUSED, ids=str)
def test_what_cannot_be_honoured_is_refused_by_name(variant: dict[str, Any], named: str) -> None:
    with pytest.raises(CheckpointError, match=named):
        TaesdDimensions.from_config(TINY_DECODER | variant)


@torch.inference_mode()
def test_scaled_latents_are_divided_by_the_decoder_s_own_scaling() -> None:
    usual, other = tiny_decoder(), tiny_decoder(TINY_DECODER | {"scaling_factor": 0.5})
    torch.testing.assert_close(other(LATENTS / 2), usual(LATENTS))


@torch.inference_mode()
def test_folding_changes_nothing() -> None:
    network = tiny_decoder().double()
    expected = network(LATENTS.double())
    for _ in range(2):
        network.fold_upsampling()
        torch.testing.assert_close(network(LATENTS.double()), expected, rtol=0, atol=1e-12)


def test_only_the_decoder_is_loaded(tmp_path: Path) -> None:
    written = write_tiny_decoder(tmp_path)
    loaded = load_taesd(tmp_path, "cpu", torch.bfloat16)
    assert set(loaded.state_dict()) == set(written.state_dict())
    assert all(tensor.dtype == torch.bfloat16 for tensor in loaded.parameters())
    assert not any(tensor.requires_grad for tensor in loaded.parameters())
    assert decoder_state({"decoder.a": LATENTS, "encoder.a": LATENTS}) == {"a": LATENTS}


def test_what_is_missing_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"taesd.* is missing: run .* --with taesd' or use"):
        load_taesd(tmp_path, "cpu", torch.float32)
    write_tiny_decoder(tmp_path)
    (tmp_path / "taesd" / "config.json").unlink()
    with pytest.raises(MissingError, match=r"config\.json is missing"):
        load_taesd(tmp_path, "cpu", torch.float32)


@pytest.mark.parametrize(
    "variant",
    [
        {"out_channels": 4},
        {"latent_channels": 16},
        {"decoder_block_out_channels": [8] * 3, "num_decoder_blocks": [1] * 3},
    ],
    ids=str,
)
def test_a_decoder_of_other_latents_is_refused(variant: dict[str, Any], tmp_path: Path) -> None:
    write_tiny_decoder(tmp_path, TINY_DECODER | variant)
    with pytest.raises(CheckpointError, match=next(iter(variant))):
        load_taesd(tmp_path, "cpu", torch.float32)
