"""Every exact saving against the plain networks, alone and all together."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import Any

import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

import torch
from torch import Tensor

from lipstream.rendering.musetalk.optimizations.options import OptimizationOptions, optimized
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks
from tests.rendering.musetalk.networks import TINY_UNET, TINY_VAE, drawn, networks, shared_networks

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
def generated(which: MuseTalkNetworks, latents: Tensor, audio: Tensor) -> Tensor:
    place: dict[str, Any] = {"device": which.device, "dtype": which.dtype}
    return which.generate(latents.to(**place), audio.to(**place)).cpu()


@cache
def fast(options: OptimizationOptions, dtype: torch.dtype = torch.float32) -> MuseTalkNetworks:
    """The optimized networks, made once per worker."""
    return optimized(shared_networks(dtype=dtype), options)


@cache
def expected(dtype: torch.dtype = torch.float32, *size: int) -> Tensor:
    """The result of the plain networks, made once per worker."""
    return generated(shared_networks(dtype=dtype), *inputs(*size))


def error(found: Tensor, right: Tensor) -> float:
    """The root of the mean square difference over that of the right values."""
    return float((found.double() - right.double()).norm() / right.double().norm())


@pytest.mark.parametrize("options", CASES)
def test_in_double_precision_nothing_changes(options: OptimizationOptions) -> None:
    found = generated(fast(options, torch.float64), *inputs())
    assert error(found, expected(torch.float64)) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("size", [(1, 8, 8), (3, 4, 12), (2, 9, 13)], ids=str)
def test_in_single_precision_only_rounding_changes(
    options: OptimizationOptions, size: tuple[int, int, int]
) -> None:
    found = generated(fast(options), *inputs(*size))
    assert error(found, expected(torch.float32, *size)) < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_in_half_precision_the_error_does_not_grow(
    options: OptimizationOptions, dtype: torch.dtype
) -> None:
    exact = expected(torch.float64)
    found = generated(fast(options, dtype), *inputs())
    assert found.dtype == dtype
    assert error(found, exact) < 1.5 * error(expected(dtype), exact)


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_every_kind_of_network_can_be_optimized(
    config: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    plain = networks(TINY_UNET | config[0], TINY_VAE | config[1])
    given = inputs(1, 6, 10)
    assert error(generated(optimized(plain, ALL), *given), generated(plain, *given)) < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize("options", CASES)
def test_a_frame_does_not_depend_on_who_shares_its_batch(options: OptimizationOptions) -> None:
    latents, audio = inputs(4)
    together = generated(fast(options), latents, audio)
    order = [2, 0, 3, 1]
    assert error(generated(fast(options), latents[order], audio[order]), together[order]) < 1e-6
    for row in range(4):
        alone = generated(fast(options), latents[row : row + 1], audio[row : row + 1])
        assert error(alone, together[row : row + 1]) < 2e-5


@torch.inference_mode()
@pytest.mark.parametrize("options", CASES)
def test_an_avatar_s_latents_stay_the_same(options: OptimizationOptions) -> None:
    plain, vae = shared_networks(dtype=torch.float64).vae, fast(options, torch.float64).vae
    images = drawn(2, 3, 32, 40).clamp(-1, 1).double()
    latents = plain.encode(images)
    assert error(vae.encode(images), latents) < 1e-12
    assert error(vae.decode(latents), plain.decode(latents)) < 1e-12


def test_the_given_networks_stay_as_they_are() -> None:
    plain = networks()
    state = {name: tensor.clone() for name, tensor in plain.unet.state_dict().items()}
    optimized(plain, replace(ALL, prepack=True))
    assert all(torch.equal(tensor, state[name]) for name, tensor in plain.unet.state_dict().items())
    assert all(tensor.is_contiguous() for tensor in plain.vae.state_dict().values())
    assert torch.equal(generated(plain, *inputs()), expected())


def test_what_no_saving_changes_is_shared() -> None:
    copied = optimized(shared_networks(), OptimizationOptions()).unet.parameters()
    for mine, theirs in zip(copied, shared_networks().unet.parameters(), strict=True):
        assert mine is theirs


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_is_exact_on_a_device_runs_there(dtype: torch.dtype) -> None:
    exact = OptimizationOptions.exact(torch.device("cpu"), dtype)
    assert exact.prepack == (dtype == torch.bfloat16)
    found = generated(fast(exact, dtype), *inputs())
    assert error(found, expected()) < (2e-5 if dtype == torch.float32 else 0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_optimizing_twice_is_optimizing_once(dtype: torch.dtype) -> None:
    for options in (OptimizationOptions.exact(torch.device("cpu"), dtype), ALL):
        twice = generated(optimized(fast(options, dtype), options), *inputs())
        assert torch.equal(twice, generated(fast(options, dtype), *inputs()))


def test_on_a_gpu_all_but_prepacking_is_exact() -> None:
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
    exact = generated(networks(*configs, dtype=torch.float64), latents, audio)
    plain = networks(*configs, device="cuda", dtype=dtype)
    quick = optimized(plain, options)
    found, usual = generated(quick, latents, audio), generated(plain, latents, audio)
    limit = 2e-5 if dtype == torch.float32 else 1.5 * error(usual, exact)
    assert error(found, exact) < limit
    # Libraries may sum in another order where a frame has another place among the rows.
    order = [2, 0, 1]
    assert error(generated(quick, latents[order], audio[order]), found[order]) < limit
