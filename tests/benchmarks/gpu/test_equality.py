"""Contenders that paint alike are told from one that does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

import torch

from benchmarks.gpu.baseline import open_loop, run_together
from benchmarks.gpu.ceilings import measure_ceilings, peak_tflops
from benchmarks.gpu.contenders import (
    COMPILED,
    OURS,
    PLAIN,
    Contender,
    exact_networks,
    our_contender,
    plain_contender,
    try_compiled,
)
from benchmarks.gpu.equality import Check, check_equality
from benchmarks.gpu.renderer_stub import RendererStub, open_compositor
from benchmarks.gpu.throughput import Speed, measure_speeds, utilisation

if TYPE_CHECKING:
    from torch import Tensor

    from benchmarks.gpu.synthetic_workload import Workload

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def plain(work: Workload) -> Contender:
    return plain_contender(work)


@pytest.fixture(scope="module")
def ours(work: Workload) -> Contender:
    return our_contender(work, exact_networks(work), (1, 4))


@pytest.fixture(scope="module")
def renderer(work: Workload, ours: Contender) -> RendererStub:
    return RendererStub(work, ours.networks, open_compositor(work, ours.networks, 4, "rgb24"))


def test_ours_is_equal(
    work: Workload, plain: Contender, ours: Contender, renderer: RendererStub
) -> None:
    checks = check_equality(work, plain, ours, renderer, 4)
    assert len(checks) == 6
    assert all(check.equal for check in checks), checks


def test_a_saving_that_is_none_is_found(
    work: Workload, plain: Contender, renderer: RendererStub
) -> None:
    """One channel of the decoder is lost on the way."""
    broken = our_contender(work, exact_networks(work), (4,))
    with torch.no_grad():
        wrong = dict(broken.networks.vae.decoder.named_parameters())["conv_norm_out.weight"]
        wrong[3] = 0
    checks = {check.name: check for check in check_equality(work, plain, broken, renderer, 4)}
    assert not checks["decoded, relative"].equal
    assert checks["latents, relative"].equal


def test_a_batch_that_mixes_its_frames_is_found(
    work: Workload, plain: Contender, ours: Contender, renderer: RendererStub
) -> None:
    def mixing(latents: Tensor, audio: Tensor) -> Tensor:
        painted = ours.paint(latents, audio)
        shifted: Tensor = torch.cat((painted[:1], painted[:-1]))
        return shifted

    checks = {
        check.name: check
        for check in check_equality(work, plain, replace(ours, paint=mixing), renderer, 4)
    }
    assert not checks["the same frame in another batch, mean of 255"].equal


def test_nan_is_not_equal() -> None:
    assert not Check("it", float("nan"), 1.0).equal
    assert Check("it", 1.0, 1.0).record() == {
        "name": "it",
        "value": 1.0,
        "limit": 1.0,
        "equal": True,
    }


def test_every_contender_is_timed_at_every_batch(
    work: Workload, plain: Contender, ours: Contender
) -> None:
    speeds = list(measure_speeds(work, [plain, ours], [1, 2], rounds=1))
    assert [(speed.contender, speed.batch) for speed in speeds] == [
        (PLAIN, 1),
        (OURS, 1),
        (PLAIN, 2),
        (OURS, 2),
    ]
    for speed in speeds:
        assert 0 < speed.best <= speed.ms <= speed.worst
        assert set(speed.stages) == {"unet", "decoder", "copy to host"}
    assert speeds[0].ratio == 1.0


def test_the_compiled_baseline_has_one_size(
    work: Workload, plain: Contender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda paint, **how: paint)
    compiled = try_compiled(work)
    assert isinstance(compiled, Contender)
    speeds = list(measure_speeds(work, [plain, compiled], [1, 8], rounds=1))
    assert [(speed.contender, speed.batch) for speed in speeds] == [
        (PLAIN, 1),
        (PLAIN, 8),
        (COMPILED, 8),
    ]
    assert not torch.is_inference_mode_enabled()


def test_a_compiler_that_fails_is_named(work: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_(paint: object, **options: object) -> object:
        def failing(latents: Tensor, audio: Tensor) -> Tensor:
            raise OSError("there is no compiler")

        return failing

    monkeypatch.setattr(torch, "compile", compile_)
    assert try_compiled(work) == "OSError"


def test_utilisation_is_a_share_of_what_was_measured() -> None:
    speed = Speed(OURS, 8, 2.0, 1.9, 2.1, 3.0, 0.1)
    used = utilisation(speed, 0.8e12, 0.7e12, 800.0)
    assert used.nominal == pytest.approx(0.5) and used.executed == pytest.approx(0.4375)


def test_ceilings_are_measured_for_every_precision() -> None:
    ceilings = measure_ceilings(CPU, tiny=True)
    assert {ceiling.unit for ceiling in ceilings} == {"TFLOP/s", "GB/s"}
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        peak = peak_tflops(ceilings, dtype)
        assert peak is not None and peak > 0
    assert peak_tflops([], torch.float32) is None


@pytest.mark.parametrize("batch", [4, 8])
def test_the_published_loop_makes_whole_batches(
    work: Workload, plain: Contender, batch: int
) -> None:
    loop = open_loop(work, plain.networks, batch)
    made, ms = loop.run(5)
    assert made == -(-5 // batch) * batch and ms > 0
    with ThreadPoolExecutor(2) as pool:
        loops = [loop, open_loop(work, plain.networks, batch)]
        together, ms = run_together(loops, pool, 2 * batch)
    assert together == 2 * batch and ms > 0


def test_the_published_loop_paints_what_the_plain_contender_does(
    work: Workload, plain: Contender
) -> None:
    loop = open_loop(work, plain.networks, 4)
    rows = work.batch(0, 4)
    _, audio = work.inputs(rows, torch.float32)
    faces = torch.from_numpy(np.stack(loop.paint(rows, audio.numpy()))).float()
    with torch.inference_mode():
        theirs = plain.paint(*work.inputs(rows, plain.networks.dtype)).float()
    assert float((faces - theirs).abs().max()) <= 1
