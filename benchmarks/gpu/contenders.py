"""The ways to paint that are compared: plain, compiled, ours, turbo. All have the same weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from benchmarks.gpu.synthetic_workload import Workload, converted, fill, half
from lipstream.rendering.musetalk.models.taesd import TaesdDecoder, TaesdDimensions
from lipstream.rendering.musetalk.models.vae import to_pictures
from lipstream.rendering.musetalk.optimizations.cuda_graphs import (
    GraphRunner,
    cudnn_autotune,
    sizes_for,
)
from lipstream.rendering.musetalk.optimizations.mkldnn_pack import prepack
from lipstream.rendering.musetalk.optimizations.options import OptimizationOptions
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks

RECORDED_AFTER = 3  # calls: the compiler's recordings are made at the second
COMPILED_BATCHES = (8,)  # every further size takes minutes to compile
PLAIN, COMPILED, OURS, TURBO = (
    "baseline (a)",
    "baseline (a'), compiled",
    "lipstream (b)",
    "turbo, approximate",
)
PLANES = f"{OURS}, planes"  # whole pictures for a video encoder, not RGB as all others


_Shapes: TypeAlias = tuple[tuple[int, int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """One way to paint. `paint` launches and does not wait."""

    name: str
    networks: MuseTalkNetworks
    paint: Callable[[Tensor, Tensor], Tensor]  # as `networks.generate`, but uint8 (b, H, W, 3)
    facts: dict[str, object] = field(default_factory=dict)  # for the report
    only: tuple[int, ...] = ()  # sizes of batches that it is timed at; none: all


def plain_contender(work: Workload) -> Contender:
    """Half precision and the modules as published, with nothing changed."""
    networks = converted(work.networks, half(work.device), OptimizationOptions())
    return Contender(PLAIN, networks, _eager(networks))


def compiled_contender(work: Workload) -> Contender:
    """The same with `torch.compile` and channels last: an hour of a user's own work."""
    networks = converted(work.networks, half(work.device), OptimizationOptions(channels_last=True))
    compile_: Callable[..., Any] = torch.compile
    mark_step: Callable[..., Any] = torch.compiler.cudagraph_mark_step_begin
    paint = compile_(_eager(networks), mode="reduce-overhead", dynamic=False)

    def marked(latents: Tensor, audio: Tensor) -> Tensor:
        if latents.device.type == "cuda":
            mark_step()
        painted: Tensor = paint(latents, audio).clone()  # a graph's own output is written again
        return painted

    return Contender(COMPILED, networks, marked, only=COMPILED_BATCHES)


def exact_networks(work: Workload, dtype: torch.dtype | None = None) -> MuseTalkNetworks:
    """The networks with every exact saving for this device; half precision by default."""
    dtype = dtype or half(work.device)
    return converted(work.networks, dtype, OptimizationOptions.exact(work.device, dtype))


def turbo_networks(work: Workload, exact: MuseTalkNetworks) -> MuseTalkNetworks:
    """The exact networks with a small decoder of random weights: its error would say nothing."""
    sizes = TaesdDimensions.from_config(work.sizes.decoder)
    decoder: TaesdDecoder = fill(TaesdDecoder, sizes, work.device, seed=7)
    decoder.fold_upsampling()
    decoder.to(exact.dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    prepack(decoder)
    return replace(exact, decoder=decoder)


def our_contender(
    work: Workload, networks: MuseTalkNetworks, batches: Sequence[int], name: str = OURS
) -> Contender:
    """The product's way, with recordings where the device has them."""
    cuda = work.device.type == "cuda"
    stream = torch.cuda.Stream(work.device) if cuda else None  # type: ignore[no-untyped-call]
    shapes = tuple(work.latents.shape[1:]), tuple(work.audio.shape[1:])
    sizes = sizes_for(max(batches))
    runner = GraphRunner(networks, *cast(_Shapes, shapes), sizes, stream)
    began = time.perf_counter()
    if cuda:
        runner.record()
    facts = {"sizes of batches": list(sizes), "recording, s": time.perf_counter() - began}
    return Contender(name, networks, _recorded(runner, stream), facts)


def _recorded(
    runner: GraphRunner, stream: torch.cuda.Stream | None
) -> Callable[[Tensor, Tensor], Tensor]:
    def paint(latents: Tensor, audio: Tensor) -> Tensor:
        count = len(latents)
        if stream is None:
            return _on(runner, latents, audio, count)
        stream.wait_stream(torch.cuda.current_stream(stream.device))
        with torch.cuda.stream(stream):
            painted = _on(runner, latents, audio, count)
        torch.cuda.current_stream(stream.device).wait_stream(stream)
        # Memory belongs to the stream that asked for it, until others that use it are done too.
        latents.record_stream(stream)
        audio.record_stream(stream)
        painted.record_stream(torch.cuda.current_stream(stream.device))
        return painted

    return paint


def _on(runner: GraphRunner, latents: Tensor, audio: Tensor, count: int) -> Tensor:
    runner.latents[:count].copy_(latents)
    runner.audio[:count].copy_(audio)
    return runner.run(count).clone()  # what the runner gives is overwritten next time


def try_compiled(work: Workload) -> Contender | str:
    """The compiled contender once it has compiled, or the name of the error that stopped it."""
    began = time.perf_counter()
    contender = compiled_contender(work)
    try:
        with torch.inference_mode(), cudnn_autotune():
            for batch in COMPILED_BATCHES:
                for _ in range(RECORDED_AFTER):
                    contender.paint(*work.inputs(work.batch(0, batch), contender.networks.dtype))
        work.synchronize()
    except Exception as error:  # whatever a compiler raises concerns this row alone
        return type(error).__name__
    contender.facts["compiling, s"] = time.perf_counter() - began
    return contender


def _eager(networks: MuseTalkNetworks) -> Callable[[Tensor, Tensor], Tensor]:
    def paint(latents: Tensor, audio: Tensor) -> Tensor:
        return to_pictures(networks.generate(latents, audio))

    return paint
