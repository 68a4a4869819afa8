from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

import torch

from lipstream.errors import CheckpointError
from lipstream.rendering.musetalk.models.unet import UNet, UNetDimensions, add_positions
from tests.golden_cases.filling import load_filled
from tests.rendering.musetalk.networks import (
    TINY_UNET,
    channels_last,
    drawn,
    published,
    saved,
    share_weights,
    unet,
)

LATENTS, AUDIO = drawn(3, 8, 16, 16, seed=1), drawn(3, 10, 24, seed=2)

# Each changes what is computed; none may be overlooked.
VARIANTS: list[dict[str, Any]] = [
    {},
    {"norm_eps": 0.1},
    {"attention_head_dim": 2},
    {"attention_head_dim": [2, 4, 8]},
    {"norm_num_groups": 2},
    {"act_fn": "gelu"},
    {"act_fn": "mish"},
    {"flip_sin_to_cos": False},
    {"freq_shift": 1},
    {"downsample_padding": 0},
    {"mid_block_scale_factor": 1.5},
    {"center_input_sample": True},
    {"layers_per_block": 1},
    {"layers_per_block": [1, 2, 3]},
    {"cross_attention_dim": 36},
    {"sample_size": 32},
    {"in_channels": 9, "out_channels": 3},
    {"block_out_channels": [12, 24, 16]},
    {"block_out_channels": [9, 9, 9], "norm_num_groups": 3, "attention_head_dim": 3},
    {"down_block_types": ["DownBlock2D"] * 2 + ["CrossAttnDownBlock2D"]},
    {"up_block_types": ["CrossAttnUpBlock2D"] * 3},
]

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"act_fn": "selu"}, "act_fn"),
    ({"act_fn": None}, "act_fn"),
    ({"norm_eps": "small"}, "norm_eps"),
    ({"norm_eps": 0}, "norm_eps"),
    ({"norm_num_groups": 0}, "norm_num_groups"),
    ({"norm_num_groups": None}, "norm_num_groups"),
    ({"norm_num_groups": 3}, "block_out_channels"),
    ({"attention_head_dim": 3}, "block_out_channels"),
    ({"attention_head_dim": [2, 2]}, "attention_head_dim"),
    ({"num_attention_heads": 4}, "num_attention_heads"),
    ({"block_out_channels": []}, "block_out_channels"),
    ({"block_out_channels": [8, 16]}, "down_block_types"),
    ({"down_block_types": ["CrossAttnDownBlock2D", "AttnDownBlock2D", "DownBlock2D"]}, "down_bl"),
    ({"up_block_types": "UpBlock2D"}, "up_block_types"),
    ({"up_block_types": [["UpBlock2D"]] * 3}, "up_block_types"),
    ({"mid_block_type": "UNetMidBlock2D"}, "mid_block_type"),
    ({"mid_block_type": None}, "mid_block_type"),
    ({"mid_block_scale_factor": True}, "mid_block_scale_factor"),
    ({"downsample_padding": 2}, "downsample_padding"),
    ({"downsample_padding": True}, "downsample_padding"),
    ({"flip_sin_to_cos": 1}, "flip_sin_to_cos"),
    ({"freq_shift": "none"}, "freq_shift"),
    ({"cross_attention_dim": [24, 24, 36]}, "cross_attention_dim"),
    ({"transformer_layers_per_block": 2}, "transformer_layers_per_block"),
    ({"use_linear_projection": True}, "use_linear_projection"),
    ({"only_cross_attention": True}, "only_cross_attention"),
    ({"resnet_time_scale_shift": "scale_shift"}, "resnet_time_scale_shift"),
    ({"class_embed_type": "timestep"}, "class_embed_type"),
    ({"addition_embed_type": "text"}, "addition_embed_type"),
    ({"time_embedding_type": "fourier"}, "time_embedding_type"),
    ({"something_new": 0}, "something_new"),
    ({"_class_name": "AutoencoderKL"}, "AutoencoderKL"),
]


def peer(config: dict[str, Any]) -> Any:
    """The same network as the library has it that the published one was trained with."""
    diffusers = pytest.importorskip("diffusers", reason="comparing needs diffusers, an extra: dev")
    return diffusers.UNet2DConditionModel(**config)


@torch.inference_mode()
def compare(ours: UNet, theirs: Any, latents: Any, audio: Any, limit: float) -> None:
    expected = theirs(latents, torch.zeros((), dtype=torch.long), audio).sample
    torch.testing.assert_close(ours(latents, audio), expected, rtol=0, atol=limit)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_value_of_the_config_is_honoured(variant: dict[str, Any]) -> None:
    config = TINY_UNET | variant
    ours, theirs = unet(config), peer(config)
    share_weights(ours, theirs)
    latents = drawn(2, config["in_channels"], 16, 16)
    compare(ours, theirs, latents, drawn(2, 10, config["cross_attention_dim"]), 2e-5)


@pytest.mark.parametrize(("variant", "named"), REFUSED, ids=str)
def test_what_cannot_be_honoured_is_refused_by_name(variant: dict[str, Any], named: str) -> None:
    with pytest.raises(CheckpointError, match=named) as refused:
        UNetDimensions.from_config(TINY_UNET | variant, "models/musetalk.json")
    assert str(refused.value).startswith("models/musetalk.json ")
    assert "\n" not in str(refused.value)


def test_a_config_that_is_no_object_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no JSON object"):
        UNetDimensions.from_config([])  # type: ignore[arg-type]


def test_values_that_change_nothing_are_accepted() -> None:
    idle = {"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6.0", "dropout": 0.1}
    idle |= {"num_attention_heads": None, "upcast_attention": False, "conv_in_kernel": 3}
    assert UNetDimensions.from_config(TINY_UNET | idle) == UNetDimensions.from_config(TINY_UNET)


def test_the_published_library_s_files_load_as_they_are(tmp_path: Path) -> None:
    theirs = peer(TINY_UNET)
    share_weights(unet(), theirs)
    config, state = saved(theirs, tmp_path)
    ours = UNet(UNetDimensions.from_config(config))
    ours.load_state_dict(state, strict=True)
    compare(ours.eval(), theirs, LATENTS, AUDIO, 2e-5)


def test_sizes_that_do_not_halve_evenly_work() -> None:
    ours, theirs = unet(), peer(TINY_UNET)
    share_weights(ours, theirs)
    compare(ours, theirs, drawn(1, 8, 18, 13), AUDIO[:1], 2e-5)


@torch.inference_mode()
def test_a_frame_is_the_same_in_any_batch() -> None:
    network = unet()
    together = network(LATENTS, AUDIO)
    for row in range(3):
        alone = network(LATENTS[row : row + 1], AUDIO[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_the_memory_format_does_not_matter() -> None:
    network = unet()
    expected = network(LATENTS, AUDIO)
    channels_last(network)
    found = network(LATENTS.to(memory_format=torch.channels_last), AUDIO)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_folding_the_time_changes_nothing() -> None:
    network = unet()
    expected, keys = network(LATENTS, AUDIO), len(network.state_dict())
    other = UNet(network.dimensions)
    share_weights(network, other)
    network.fold_time()
    network.fold_time()
    torch.testing.assert_close(network(LATENTS, AUDIO), expected, rtol=0, atol=1e-5)
    assert len(network.state_dict()) < keys
    torch.testing.assert_close(other(LATENTS, AUDIO), expected, rtol=0, atol=0)


@pytest.mark.slow
@torch.inference_mode()
def test_half_precision_is_close() -> None:
    network = unet(published("unet_tiny")[1])
    latents, audio = drawn(1, 8, 32, 32), add_positions(drawn(1, 50, 384))
    expected = network(latents, audio)
    half = network.bfloat16()(latents.bfloat16(), audio.bfloat16())
    assert half.dtype == torch.bfloat16
    error = (half.float() - expected).abs()
    assert error.max() < 0.084 and error.mean() < 0.014


@pytest.mark.parametrize("width", [2, 24, 25, 384, 768])
def test_positions_begin_with_each_frame(width: int) -> None:
    placed = add_positions(torch.zeros(2, 50, width))
    assert torch.equal(placed[0], placed[1])
    assert torch.equal(placed[0, 0, 0::2], torch.zeros((width + 1) // 2))
    assert torch.equal(placed[0, 0, 1::2], torch.ones(width // 2))
    assert placed[0, 3, 0] == pytest.approx(0.14112, abs=1e-5)  # sin 3
    assert placed.max() <= 1


def test_positions_keep_the_precision_of_the_audio() -> None:
    assert add_positions(torch.zeros(1, 5, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_the_published_size_has_the_published_names() -> None:
    manifest, config = published("unet_full")
    shapes = json.loads(manifest.read_text(encoding="utf-8"))
    with torch.device("meta"):
        state = UNet(UNetDimensions.from_config(config)).state_dict()
    assert {name: list(tensor.shape) for name, tensor in state.items()} == {
        name: shape for name, (shape, _) in shapes.items()
    }


@pytest.mark.full
def test_the_published_size_agrees() -> None:
    manifest, config = published("unet_full")
    with torch.device("meta"):
        ours, theirs = UNet(UNetDimensions.from_config(config)), peer(config)
    load_filled(ours, manifest)
    share_weights(ours, theirs)
    compare(ours, theirs, drawn(1, 8, 32, 32), add_positions(drawn(1, 50, 384)), 5e-5)
