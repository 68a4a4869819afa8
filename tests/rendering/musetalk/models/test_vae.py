from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

import torch

from lipstream.errors import CheckpointError
from lipstream.rendering.musetalk.models.vae import Vae, VaeDimensions, current_names, to_pictures
from tests.golden_cases.filling import load_filled
from tests.rendering.musetalk.networks import (
    TINY_VAE,
    channels_last,
    drawn,
    published,
    saved,
    share_weights,
    vae,
)

IMAGES = drawn(2, 3, 64, 64).clamp(-1, 1)
LATENTS = drawn(2, 4, 8, 8)

VARIANTS: list[dict[str, Any]] = [
    {},
    {"act_fn": "relu"},
    {"norm_num_groups": 2},
    {"layers_per_block": 2},
    {"block_out_channels": [4, 8, 12, 24]},
    {"latent_channels": 8},
    {"sample_size": 512, "force_upcast": False},
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"act_fn": "tanh"}, "act_fn"),
    ({"norm_num_groups": 3}, "block_out_channels"),
    ({"block_out_channels": [10**30] * 4}, "block_out_channels"),
    ({"latent_channels": 1 << 17}, "latent_channels"),
    ({"layers_per_block": [1, 1, 1, 2]}, "layers_per_block"),
    ({"down_block_types": ["DownEncoderBlock2D"] * 3}, "down_block_types"),
    ({"up_block_types": ["AttnUpDecoderBlock2D"] * 4}, "up_block_types"),
    ({"scaling_factor": 0}, "scaling_factor"),
    ({"scaling_factor": float("nan")}, "scaling_factor"),
    ({"shift_factor": 0.1}, "shift_factor"),
    ({"latents_mean": [0.0] * 4}, "latents_mean"),
    ({"use_quant_conv": False}, "use_quant_conv"),
    ({"mid_block_add_attention": False}, "mid_block_add_attention"),
    ({"_class_name": "AutoencoderTiny"}, "AutoencoderTiny"),
]


def peer(config: dict[str, Any]) -> Any:
    """The same network as the library has it that the published one was trained with."""
    diffusers = pytest.importorskip("diffusers", reason="comparing needs diffusers, an extra: dev")
    return diffusers.AutoencoderKL(**config)


@torch.inference_mode()
def compare(ours: Vae, theirs: Any, images: Any, latents: Any, limit: float) -> None:
    posterior = theirs.encode(images).latent_dist
    mean, spread = ours.posterior(images)
    torch.testing.assert_close(mean, posterior.mean, rtol=0, atol=limit)
    torch.testing.assert_close(spread, posterior.std, rtol=1e-5, atol=limit)
    torch.testing.assert_close(ours.encode(images), mean, rtol=0, atol=0)
    decoded = theirs.decode(latents).sample
    torch.testing.assert_close(ours.decode(latents), decoded, rtol=0, atol=limit)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_value_of_the_config_is_honoured(variant: dict[str, Any]) -> None:
    config = TINY_VAE | variant
    ours, theirs = vae(config), peer(config)
    share_weights(ours, theirs)
    compare(ours, theirs, IMAGES, drawn(1, config.get("latent_channels", 4), 8, 8), 5e-5)


@pytest.mark.parametrize(("variant", "named"), REFUSED, ids=str)
def test_what_cannot_be_honoured_is_refused_by_name(variant: dict[str, Any], named: str) -> None:
    with pytest.raises(CheckpointError, match=named):
        VaeDimensions.from_config(TINY_VAE | variant)


def test_the_scaling_is_that_of_the_config_or_the_usual_one() -> None:
    assert VaeDimensions.from_config(TINY_VAE).scaling == 0.18215
    assert VaeDimensions.from_config(TINY_VAE | {"scaling_factor": 0.13}).scaling == 0.13


def test_the_published_library_s_files_load_as_they_are(tmp_path: Path) -> None:
    theirs = peer(TINY_VAE)
    share_weights(vae(), theirs)
    config, state = saved(theirs, tmp_path)
    ours = Vae(VaeDimensions.from_config(config))
    ours.load_state_dict(state, strict=True)
    compare(ours.eval(), theirs, IMAGES, LATENTS, 5e-5)


def test_the_oldest_names_become_today_s() -> None:
    manifest, config = published("vae_full")
    names = json.loads(manifest.read_text(encoding="utf-8"))
    old = json.loads(manifest.with_suffix(".oldnames.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        network = Vae(VaeDimensions.from_config(config))
        state = {name: torch.empty(shape) for name, (shape, _) in old.items()}
    assert set(old) != set(names)
    assert set(current_names(state)) == set(names) == set(network.state_dict())
    network.load_state_dict(current_names(state), strict=True, assign=True)


def test_old_convolutions_become_matrices_and_today_s_names_stay() -> None:
    state = vae().state_dict()
    key = "decoder.mid_block.attentions.0"
    old = dict(state)
    old[f"{key}.proj_attn.weight"] = old.pop(f"{key}.to_out.0.weight")[:, :, None, None]
    for named in (current_names(old), current_names(state)):
        assert set(named) == set(state)
        assert all(torch.equal(named[name], state[name]) for name in state)


@torch.inference_mode()
def test_a_picture_is_the_same_in_any_batch_and_memory_format() -> None:
    network = vae()
    latents, images = network.encode(IMAGES), network.decode(LATENTS)
    channels_last(network)
    for row in range(2):
        alone = network.encode(IMAGES[row : row + 1]), network.decode(LATENTS[row : row + 1])
        torch.testing.assert_close(latents[row : row + 1], alone[0], rtol=0, atol=2e-5)
        torch.testing.assert_close(images[row : row + 1], alone[1], rtol=0, atol=2e-5)


@torch.inference_mode()
def test_half_precision_is_close() -> None:
    network = vae(published("vae_tiny")[1])
    mean, raw = network.encode(IMAGES), network.decode(LATENTS)
    network.bfloat16()
    difference = (network.encode(IMAGES.bfloat16()) - mean).abs()
    assert difference.max() < 0.18 and difference.mean() < 0.016
    half, full = (to_pictures(x).double() for x in (network.decode(LATENTS.bfloat16()), raw))
    assert 10 * torch.log10(255**2 / (half - full).square().mean()) > 40  # dB


def test_pictures_are_clipped_and_rounded_half_to_even() -> None:
    levels = torch.tensor([-5.0, -1.0, 0.0, 1.0, 7.0, 2 * 1.5 / 255 - 1, 2 * 2.5 / 255 - 1])
    raw = levels.double().view(1, 1, 1, -1).expand(1, 3, 1, -1)
    row = to_pictures(raw)[0, 0]
    assert row.dtype == torch.uint8 and row.shape == (7, 3)
    assert row[:5, 0].tolist() == [0, 0, 128, 255, 255]
    assert (row == row[:, :1]).all()
    exact = to_pictures(torch.zeros(1, 3, 2, 2))  # 127.5
    assert (exact == 128).all()


def test_colours_keep_their_order() -> None:
    raw = torch.stack([torch.full((2, 2), value) for value in (1.0, -1.0, 0.6)])[None]
    assert to_pictures(raw)[0, 0, 0].tolist() == [255, 0, 204]


@pytest.mark.full
def test_the_published_size_agrees() -> None:
    manifest, config = published("vae_full")
    with torch.device("meta"):
        ours, theirs = Vae(VaeDimensions.from_config(config)), peer(config)
    load_filled(ours, manifest)
    share_weights(ours, theirs)
    compare(ours, theirs, drawn(1, 3, 128, 128).clamp(-1, 1), drawn(1, 4, 16, 16), 2e-4)
