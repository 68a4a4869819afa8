"""Every exact saving against the plain networks, alone and all together."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

import torch
from torch import Tensor

from lipstream.rendering.musetalk.optimizations.options import OptimizationOptions, optimized
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks
from tests.rendering.musetalk.networks import TINY_UNET, TINY_VAE, drawn, networks

NAMES = [field.name for field in fields(OptimizationOptions) if field.name != "prepack"]
ALL = OptimizationOptions(**dict.fromkeys(NAMES, True))
CASES = [pytest.param(OptimizationOptions(**{name: True}), id=name) for name in NAMES]
CASES.append(pytest.param(ALL, id="all"))

HALVES = [torch.bfloat16, torch.float16]
CONFIGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"center_input_sample": True, "mid_block_scale_factor": 1.5}, {}),
    ({"attention_head_dim": 2, "layers_per_block": 1}, {"layers_per_block": 2}),
    ({"act_fn": "gelu"}, {"act_fn": "relu", "scaling_factor": 0.5}),
    ({"down_block_types": ["DownBlock2D"] * 3}, {"norm_num_groups": 2}),
    ({"block_out_channels": [12, 24, 16]}, {"block_out_channels": [4, 8, 12, 24]}),
    ({"downsample_padding": 0}, {}),
]


def inputs(batch: int = 2, height: int = 8, width: int = 8) -> tuple[Tensor, Tensor]:
    return drawn(batch, 8, height, width, seed=1), drawn(batch, 10, 24, seed=2)


@torch.inference_mode()
def painted(which: MuseTalkNetworks, latents: Tensor, audio: Tensor) -> Tensor:
    place: dict[str, Any] = {"device": which.device, "dtype": which.dtype}
    return which.generate(latents.to(**place), audio.to(**place)).cpu()


def error(found: Tensor, expected: Tensor) -> float:
    """The root of the mean square difference over that of the expected values."""
    return float((found.double() - expected.double()).norm() / expected.double().norm())


@pytest.mark.parametrize("options", CASES)
def test_in_double_precision_nothing_changes(options: OptimizationOptions) -> None:
    plain = networks(dtype=torch.float64)
    latents, audio = inputs()
    expected = painted(plain, latents, audio)
    assert error(painted(optimized(plain, options), latents, audio), expected) < 1e-12


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("size", [(1, 8, 8), (3, 4, 12), (2, 9, 13)], ids=str)
def test_in_single_precision_only_rounding_changes(
    options: OptimizationOptions, size: tuple[int, int, int]
) -> None:
    plain = networks()
    latents, audio = inputs(*size)
    expected = painted(plain, latents, audio)
    assert error(painted(optimized(plain, options), latents, audio), expected) < 2e-5


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_in_half_precision_the_error_does_not_grow(
    options: OptimizationOptions, dtype: torch.dtype
) -> None:
    latents, audio = inputs()
    exact = painted(networks(dtype=torch.float64), latents, audio)
    plain = networks(dtype=dtype)
    found, usual = (painted(which, latents, audio) for which in (optimized(plain, options), plain))
    assert found.dtype == dtype
    assert error(found, exact) < 1.5 * error(usual, exact)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_every_kind_of_network_can_be_optimized(
    config: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    plain = networks(TINY_UNET | config[0], TINY_VAE | config[1])
    latents, audio = inputs(1, 6, 10)
    expected = painted(plain, latents, audio)
    assert error(painted(optimized(plain, ALL), latents, audio), expected) < 2e-5


@pytest.mark.parametrize("options", CASES)
def test_a_frame_does_not_depend_on_who_shares_its_batch(options: OptimizationOptions) -> None:
    fast = optimized(networks(), options)
    latents, audio = inputs(4)
    together = painted(fast, latents, audio)
    order = [2, 0, 3, 1]
    assert error(painted(fast, latents[order], audio[order]), together[order]) < 1e-6
    for row in range(4):
        alone = painted(fast, latents[row : row + 1], audio[row : row + 1])
        assert error(alone, together[row : row + 1]) < 2e-5


@torch.inference_mode()
@pytest.mark.parametrize("options", CASES)
def test_an_avatar_s_latents_stay_the_same(options: OptimizationOptions) -> None:
    plain, images = networks(dtype=torch.float64), drawn(2, 3, 32, 40).clamp(-1, 1).double()
    latents = plain.vae.encode(images)
    fast = optimized(plain, options).vae
    assert error(fast.encode(images), latents) < 1e-12
    assert error(fast.decode(latents), plain.vae.decode(latents)) < 1e-12


def test_the_given_networks_stay_as_they_are() -> None:
    plain = networks()
    latents, audio = inputs()
    state = {name: tensor.clone() for name, tensor in plain.unet.state_dict().items()}
    expected = painted(plain, latents, audio)
    optimized(plain, replace(ALL, prepack=True))
    assert all(torch.equal(tensor, state[name]) for name, tensor in plain.unet.state_dict().items())
    assert all(tensor.is_contiguous() for tensor in plain.vae.state_dict().values())
    assert torch.equal(painted(plain, latents, audio), expected)


def test_what_no_saving_changes_is_shared() -> None:
    plain = networks()
    for mine, theirs in zip(
        optimized(plain, OptimizationOptions.none()).unet.parameters(),
        plain.unet.parameters(),
        strict=True,
    ):
        assert mine is theirs


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_is_exact_on_a_device_paints_there(dtype: torch.dtype) -> None:
    plain = networks(dtype=dtype)
    exact = OptimizationOptions.exact(plain.device, dtype)
    assert exact.prepack == (dtype == torch.bfloat16)
    latents, audio = inputs()
    found, expected = (
        painted(which, latents, audio) for which in (optimized(plain, exact), networks())
    )
    assert error(found, expected) < (2e-5 if dtype == torch.float32 else 0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_optimizing_twice_is_optimizing_once(dtype: torch.dtype) -> None:
    exact = OptimizationOptions.exact(torch.device("cpu"), dtype)
    for options in (exact, ALL):
        once = optimized(networks(dtype=dtype), options)
        latents, audio = inputs()
        twice = painted(optimized(once, options), latents, audio)
        assert torch.equal(twice, painted(once, latents, audio))


def test_on_a_gpu_all_but_packing_is_exact() -> None:
    assert OptimizationOptions.exact(torch.device("cuda"), torch.float16) == ALL


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
def test_the_same_holds_on_a_gpu(
    options: OptimizationOptions, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    wide = {"block_out_channels": [32, 64, 64], "norm_num_groups": 8}
    deep = {"block_out_channels": [16, 32, 64, 64], "norm_num_groups": 8}
    configs = TINY_UNET | wide, TINY_VAE | deep
    latents, audio = inputs(3, 16, 12)
    exact = painted(networks(*configs, dtype=torch.float64), latents, audio)
    plain = networks(*configs, device="cuda", dtype=dtype)
    fast = optimized(plain, options)
    found, usual = painted(fast, latents, audio), painted(plain, latents, audio)
    limit = 2e-5 if dtype == torch.float32 else 1.5 * error(usual, exact)
    assert error(found, exact) < limit
    # Libraries may sum in another order where a frame has another place among the rows.
    order = [2, 0, 1]
    assert error(painted(fast, latents[order], audio[order]), found[order]) < limit
