"""Compositing on the device, on a CPU too: the same pictures in any batch."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch", reason="the device path needs torch")

import torch

from lipstream.media.i420 import BT601, pad_to_even, to_i420
from lipstream.rendering.base import PixelFormat
from lipstream.rendering.musetalk.compositing.base import Compositor, FaceRequest
from lipstream.rendering.musetalk.compositing.blend_torch import rgb_to_i420
from lipstream.rendering.musetalk.compositing.cpu import CpuCompositor
from lipstream.rendering.musetalk.compositing.gpu import GpuCompositor
from lipstream.rendering.musetalk.optimizations.cuda_graphs import (
    SIZES,
    GraphRunner,
    free_cublas_workspaces,
    sizes_for,
)
from lipstream.rendering.musetalk.optimizations.options import OptimizationOptions, optimized
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks
from tests.rendering.musetalk.faces import (
    ODD,
    PICTURE,
    SIDE,
    TOKENS,
    WIDTH,
    avatar_with_faces,
    face_requests,
)
from tests.rendering.musetalk.networks import shared_networks

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from lipstream.media.image import I420, Image

    Both: TypeAlias = tuple[Compositor, Compositor, Callable[[Image], I420]]

on_a_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]


def host(tiny: MuseTalkNetworks, *, pixel_format: PixelFormat = "rgb24") -> Compositor:
    return CpuCompositor(tiny, pixel_format=pixel_format)


def device(tiny: MuseTalkNetworks, *, pixel_format: PixelFormat = "rgb24") -> Compositor:
    """Three or four faces at a time: batches of the tests are larger."""
    return GpuCompositor(tiny, SIDE, TOKENS, batch=3, pixel_format=pixel_format)


def recorded(tiny: MuseTalkNetworks, *, pixel_format: PixelFormat = "rgb24") -> Compositor:
    return GpuCompositor(tiny, SIDE, TOKENS, batch=3, record=True, pixel_format=pixel_format)


CPU = [pytest.param((host, "cpu"), id="host"), pytest.param((device, "cpu"), id="device")]
GPU = [
    pytest.param((device, "cuda"), id="cuda", marks=on_a_gpu),
    pytest.param((recorded, "cuda"), id="recorded", marks=on_a_gpu),
]


@pytest.fixture(params=[*CPU, *GPU])
def compositor(request: pytest.FixtureRequest) -> Compositor:
    make, place = request.param
    # A GPU's float32 may be less than that; what is tested here is where pixels go.
    dtype = torch.float64 if place == "cuda" else torch.float32
    made: Compositor = make(shared_networks(place, dtype))
    return made


@pytest.fixture(params=[*CPU, *GPU])
def both(request: pytest.FixtureRequest) -> Both:
    """A compositor of RGB, one of I420, and how the second converts whole pictures."""
    make, place = request.param
    tiny = shared_networks(place, torch.float64 if place == "cuda" else torch.float32)
    return make(tiny), make(tiny, pixel_format="i420"), by_opencv if make is host else by_torch


def by_opencv(picture: Image) -> I420:
    return to_i420(pad_to_even(picture), BT601)


def by_torch(picture: Image) -> I420:
    planes: I420 = rgb_to_i420(torch.from_numpy(pad_to_even(picture))).numpy()
    return planes


def finished(compositor: Compositor, requests: list[FaceRequest]) -> list[Image]:
    return compositor.begin(requests).finish()


def same(found: list[Image], expected: list[Image], most: int = 1) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        away = np.abs(one.astype(int) - other)
        assert away.max() <= most
        assert (away > 0).mean() < 0.01


def test_a_cpu_overlaps_nothing() -> None:
    assert not host(shared_networks()).overlaps
    assert not device(shared_networks()).overlaps


@pytest.mark.slow
def test_device_and_host_agree() -> None:
    tiny, requests = shared_networks(), face_requests(8)
    expected = finished(host(tiny), requests)
    same(finished(device(tiny), requests), expected)
    for request, picture in zip(requests, expected, strict=True):
        changed = (picture != request.avatar.frames[request.frame].pixels).any()
        assert changed == bool(request.plan.mask.size)


@pytest.mark.parametrize("compositor", GPU, indirect=True)
def test_gpu_and_cpu_agree(compositor: Compositor) -> None:
    assert compositor.overlaps
    requests = face_requests(8)
    same(finished(compositor, requests), finished(device(shared_networks()), requests), most=2)


def test_batches_and_neighbours_change_nothing(compositor: Compositor) -> None:
    requests = face_requests(8)
    whole = finished(compositor, requests)
    begun = [compositor.begin(requests[start : start + 2]) for start in range(0, 8, 2)]
    same([picture for pending in begun for picture in pending.finish()], whole)
    same([picture for one in requests for picture in finished(compositor, [one])], whole)
    same(finished(compositor, requests[::-1])[::-1], whole)


def test_a_batch_keeps_its_pixels_while_others_are_generated(compositor: Compositor) -> None:
    one, other = face_requests(3, seed=1), face_requests(4, seed=2)
    expected = finished(compositor, one)
    first, second = compositor.begin(one), compositor.begin(other)
    finished(compositor, other)
    same(first.finish(), expected, most=0)
    second.finish()


def test_a_batch_that_is_forgotten_disturbs_no_other(compositor: Compositor) -> None:
    requests = face_requests(5)
    expected = finished(compositor, requests)
    compositor.begin(requests[:4])
    same(finished(compositor, requests), expected, most=0)


def test_what_is_loaded_of_an_avatar_is_freed_with_it(compositor: Compositor) -> None:
    avatar, faces = avatar_with_faces(3)
    compositor.load(avatar, faces)
    pending = compositor.begin([FaceRequest(avatar, faces, 0, face_requests(1)[0].conditioning)])
    reference = weakref.ref(avatar)
    del avatar
    pending.finish()
    del pending
    gc.collect()
    assert reference() is None


def test_a_picture_is_the_callers_own(compositor: Compositor) -> None:
    requests = face_requests(2)
    before = [one.avatar.frames[one.frame].pixels.copy() for one in requests]
    for picture in finished(compositor, requests):
        picture[:] = 0
    for one, pixels in zip(requests, before, strict=True):
        assert (one.avatar.frames[one.frame].pixels == pixels).all()


@pytest.mark.slow
@pytest.mark.parametrize("size", [PICTURE, ODD], ids=["even", "odd"])
def test_i420_is_that_of_the_same_pictures(both: Both, size: tuple[int, int]) -> None:
    rgb, i420, convert = both
    requests = face_requests(12, picture=size)
    for found, picture in zip(finished(i420, requests), finished(rgb, requests), strict=True):
        expected = convert(picture)
        assert found.shape == expected.shape and found.dtype == np.uint8
        away = np.abs(found.astype(int) - expected)
        height, width = picture.shape[:2]
        chroma = away[len(pad_to_even(picture)) :].reshape(2, (height + 1) // 2, (width + 1) // 2)
        # What an odd picture has twice is not generated the second time.
        for part in (away[:height, :width], chroma[:, : height // 2, : width // 2]):
            assert part.max() <= 1
            assert (part > 0).mean() < 0.02


def test_i420_without_a_face_is_converted_once(both: Both) -> None:
    _, compositor, _ = both
    avatar, faces = avatar_with_faces(3)
    bare = compositor.load(avatar, faces).picture(0)
    before = bare.copy()
    finished(compositor, [FaceRequest(avatar, faces, 0, face_requests(1)[0].conditioning)])
    assert compositor.load(avatar, faces).picture(0) is bare
    assert (bare == before).all() and not bare.flags.writeable


def test_memory_of_the_host_is_used_again() -> None:
    compositor = GpuCompositor(shared_networks(), SIDE, TOKENS, batch=2)
    for _ in range(3):
        one, other = compositor.begin(face_requests(1)), compositor.begin(face_requests(4))
        one.finish()
        other.finish()
    assert len(compositor._spare) == 2


def test_batches_are_filled_up_to_a_few_sizes() -> None:
    assert sizes_for(1) == (1,)
    assert sizes_for(8) == (1, 2, 4, 6, 8)
    assert sizes_for(9) == (1, 2, 4, 6, 8, 12)
    assert sizes_for(32) == sizes_for(100) == SIZES


def runner(tiny: MuseTalkNetworks, stream: torch.cuda.Stream | None = None) -> GraphRunner:
    made = GraphRunner(tiny, (8, SIDE // 8, SIDE // 8), (TOKENS, WIDTH), (1, 2, 4), stream)
    made.latents.copy_(torch.randn(made.latents.shape, generator=torch.Generator().manual_seed(1)))
    made.audio.copy_(torch.randn(made.audio.shape, generator=torch.Generator().manual_seed(2)))
    return made


def test_a_runner_makes_as_many_as_requested() -> None:
    one = runner(shared_networks())
    three = one.run(3).clone()
    assert three.shape == (3, SIDE, SIDE, 3) and three.dtype == torch.uint8
    alone = one.run(1)
    assert alone.shape == (1, SIDE, SIDE, 3)
    assert (alone.int() - three[:1].int()).abs().max() <= 1


def test_a_torch_without_the_private_function_keeps_its_workspaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    freed: list[bool] = []
    name = "_cuda_clearCublasWorkspaces"
    monkeypatch.setattr(torch._C, name, lambda: freed.append(True), raising=False)
    assert free_cublas_workspaces() and freed == [True]
    monkeypatch.delattr(torch._C, name)
    assert not free_cublas_workspaces()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
@pytest.mark.parametrize("exact", [False, True], ids=["plain", "optimized"])
def test_a_recording_changes_nothing(dtype: torch.dtype, exact: bool) -> None:
    tiny = shared_networks("cuda", dtype)
    if exact:
        tiny = optimized(tiny, OptimizationOptions.exact(tiny.device, dtype))
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    live, replayed = runner(tiny, stream), runner(tiny, stream)
    replayed.record()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        for count in (4, 1, 2, 3, 1, 4):
            for one in (live, replayed):
                one.latents.mul_(0.9)  # the recording reads the present values
            found, expected = replayed.run(count).clone(), live.run(count).clone()
            stream.synchronize()
            away = (found.int() - expected.int()).abs().float()
            # In halves cuDNN's other algorithms round differently.
            assert away.max() <= (1 if dtype == torch.float64 else 4)
            assert away.mean() <= (0.01 if dtype == torch.float64 else 0.5)
