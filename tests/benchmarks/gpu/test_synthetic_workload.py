"""Random weights and frames: the same every time, of a healthy scale, no two alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

import torch

from benchmarks.gpu.contenders import exact_networks, turbo_networks
from benchmarks.gpu.synthetic_workload import PUBLISHED, TINY, converted, make_workload, plan_of
from lipstream.bench.device_timing import count_flops
from lipstream.bench.published_compositing import compose_as_published
from lipstream.media.image import paste
from lipstream.rendering.musetalk.compositing.blend import blend
from lipstream.rendering.musetalk.models.unet import UNet, UNetDimensions, add_positions
from lipstream.rendering.musetalk.models.vae import Vae, VaeDimensions
from lipstream.rendering.musetalk.optimizations.options import OptimizationOptions

if TYPE_CHECKING:
    from benchmarks.gpu.synthetic_workload import Workload

CPU = torch.device("cpu")


def test_the_same_seed_draws_the_same(work: Workload) -> None:
    again, other = make_workload(TINY, CPU), make_workload(TINY, CPU, seed=9)
    name = "mid_block.resnets.0.conv1.weight"
    weight = work.networks.unet.state_dict()[name]
    assert torch.equal(weight, again.networks.unet.state_dict()[name])
    assert not torch.equal(weight, other.networks.unet.state_dict()[name])
    assert torch.equal(work.latents, again.latents)


@torch.inference_mode()  # type: ignore[untyped-decorator,unused-ignore]
def test_values_keep_their_scale_through_the_networks(work: Workload) -> None:
    latents, audio = work.inputs(work.batch(3, 4), torch.float32)
    painted = work.networks.unet(latents, add_positions(audio))
    raw = work.networks.generate(latents, audio)
    assert 0.2 < float(painted.std()) < 3
    assert 0.1 < float(raw.std()) < 1
    assert float((raw.abs() > 1).float().mean()) < 0.1  # few pixels are clipped


def test_no_two_frames_are_alike(work: Workload) -> None:
    assert len({frame.pixels.tobytes() for frame in work.avatar.frames}) == TINY.frames
    assert len({latent.numpy().tobytes() for latent in work.latents}) == TINY.frames
    assert work.batch(TINY.frames - 1, 3) == [TINY.frames - 1, 0, 1]
    assert PUBLISHED.frames >= 64


@pytest.mark.parametrize("sizes", [TINY, PUBLISHED], ids=["tiny", "published"])
def test_faces_lie_inside_their_pictures(sizes: object) -> None:
    small = TINY if sizes is TINY else PUBLISHED
    for place in (plan_of(small, index) for index in range(small.frames)):
        assert place.box.clip(*small.picture) == place.box
        assert place.region.clip_to(place.box) == place.region
        assert place.mask.shape == (place.region.height, place.region.width)
        assert place.mask.max() == 255 and place.mask.min() == 0


@torch.inference_mode()  # type: ignore[untyped-decorator,unused-ignore]
def test_converting_leaves_the_given_networks_as_they_are(work: Workload) -> None:
    before = {name: tensor.clone() for name, tensor in work.networks.unet.state_dict().items()}
    half = converted(work.networks, torch.bfloat16, OptimizationOptions.exact(CPU, torch.bfloat16))
    assert half.dtype == torch.bfloat16
    assert half.generate(*work.inputs([0], torch.bfloat16)).dtype == torch.bfloat16
    assert work.networks.dtype == torch.float32
    after = work.networks.unet.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_flops_are_counted_and_folding_saves_some(work: Workload) -> None:
    inputs = work.inputs([0], torch.float32)
    plain = count_flops(work.networks, *inputs)
    exact = exact_networks(work, torch.float32)
    folded = count_flops(exact, *inputs)
    assert 0.7 * plain < folded < 0.95 * plain
    assert count_flops(turbo_networks(work, exact), *inputs) < folded


def test_the_published_networks_take_800_gigaflops() -> None:
    """By way of their weights alone, without memory or computing."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        unet = UNet(UNetDimensions.from_config(PUBLISHED.unet))
        vae = Vae(VaeDimensions.from_config(PUBLISHED.vae))
        latents, audio = torch.empty(1, 8, 32, 32), torch.empty(1, 50, 384)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        vae.decode(unet(latents, audio))
    assert 0.79e12 < counter.get_total_flops() < 0.81e12


def test_the_published_compositing_agrees_with_ours(work: Workload) -> None:
    face = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for frame, plan in zip(work.avatar.frames, work.faces.plans, strict=True):
        assert plan is not None
        picture = frame.pixels
        ours = paste(picture, *blend(picture, face, plan))
        theirs = compose_as_published(picture, face, plan)
        assert np.abs(ours.astype(int) - theirs).max() <= 1
        outside = np.ones(picture.shape[:2], bool)
        outside[plan.region.slices] = False
        assert np.array_equal(ours[outside], picture[outside])
        assert np.array_equal(theirs[outside], picture[outside])
