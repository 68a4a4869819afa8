"""Who paints: the plain networks, the same compiled, and ours. All have the same weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from lipstream.bench.timing import quickest_convolutions, wait
from lipstream.bench.workload import Workload, converted, fill, half
from lipstream.rendering.musetalk.models.taesd import TaesdDecoder, TaesdDimensions
from lipstream.rendering.musetalk.models.vae import to_pictures
from lipstream.rendering.musetalk.optimizations.cuda_graphs import GraphRunner, sizes_for
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
class Side:
    """One contestant. `paint` launches and does not wait."""

    name: str
    networks: MuseTalkNetworks
    paint: Callable[[Tensor, Tensor], Tensor]  # `MuseTalkNetworks.generate` as uint8 (b, H, W, 3)
    facts: dict[str, object] = field(default_factory=dict)  # for the report
    only: tuple[int, ...] = ()  # sizes of batches that it is timed at; none: all


def plain_side(work: Workload) -> Side:
    """Half precision and the modules as published: what a user has who changes nothing."""
    networks = converted(work.networks, half(work.device), OptimizationOptions.none())
    return Side(PLAIN, networks, _eager(networks))


def compiled_side(work: Workload) -> Side:
    """The same with `torch.compile` and channels last: what a user tries in an hour."""
    networks = converted(work.networks, half(work.device), OptimizationOptions(channels_last=True))
    compile_: Callable[..., Any] = torch.compile
    mark_step: Callable[..., Any] = torch.compiler.cudagraph_mark_step_begin
    paint = compile_(_eager(networks), mode="reduce-overhead", dynamic=False)

    def marked(latents: Tensor, audio: Tensor) -> Tensor:
        if latents.device.type == "cuda":
            mark_step()
        painted: Tensor = paint(latents, audio).clone()  # a graph's own output is written again
        return painted

    return Side(COMPILED, networks, marked, only=COMPILED_BATCHES)


def exact_networks(work: Workload, dtype: torch.dtype | None = None) -> MuseTalkNetworks:
    """With every exact saving that is known to gain on this device; half precision by default."""
    dtype = dtype or half(work.device)
    return converted(work.networks, dtype, OptimizationOptions.exact(work.device, dtype))


def turbo_networks(work: Workload, exact: MuseTalkNetworks) -> MuseTalkNetworks:
    """The exact ones with a small decoder; its weights are drawn: its error would say nothing."""
    sizes = TaesdDimensions.from_config(work.sizes.decoder)
    decoder: TaesdDecoder = fill(TaesdDecoder, sizes, work.device, seed=7)
    decoder.fold_upsampling()
    decoder.to(exact.dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    prepack(decoder)
    return replace(exact, decoder=decoder)


def our_side(
    work: Workload, networks: MuseTalkNetworks, batches: Sequence[int], name: str = OURS
) -> Side:
    """Painting as the product does, with recordings where the device has them."""
    cuda = work.device.type == "cuda"
    stream = torch.cuda.Stream(work.device) if cuda else None  # type: ignore[no-untyped-call]
    shapes = tuple(work.latents.shape[1:]), tuple(work.audio.shape[1:])
    sizes = sizes_for(max(batches))
    canvas = GraphRunner(networks, *cast(_Shapes, shapes), sizes, stream)
    began = time.perf_counter()
    if cuda:
        canvas.record()
    facts = {"sizes of batches": list(sizes), "recording, s": time.perf_counter() - began}
    return Side(name, networks, _recorded(canvas, stream), facts)


def _recorded(
    canvas: GraphRunner, stream: torch.cuda.Stream | None
) -> Callable[[Tensor, Tensor], Tensor]:
    def paint(latents: Tensor, audio: Tensor) -> Tensor:
        count = len(latents)
        if stream is None:
            return _on(canvas, latents, audio, count)
        stream.wait_stream(torch.cuda.current_stream(stream.device))
        with torch.cuda.stream(stream):
            painted = _on(canvas, latents, audio, count)
        torch.cuda.current_stream(stream.device).wait_stream(stream)
        # Memory belongs to the stream that asked for it, until others that use it are done too.
        latents.record_stream(stream)
        audio.record_stream(stream)
        painted.record_stream(torch.cuda.current_stream(stream.device))
        return painted

    return paint


def _on(canvas: GraphRunner, latents: Tensor, audio: Tensor, count: int) -> Tensor:
    canvas.latents[:count].copy_(latents)
    canvas.audio[:count].copy_(audio)
    return canvas.run(count).clone()  # what the canvas gives is overwritten next time


def try_compiled(work: Workload) -> Side | str:
    """The compiled side once it has compiled, or why it could not."""
    began = time.perf_counter()
    side = compiled_side(work)
    try:
        with torch.inference_mode(), quickest_convolutions():
            for batch in COMPILED_BATCHES:
                for _ in range(RECORDED_AFTER):
                    side.paint(*work.inputs(work.batch(0, batch), side.networks.dtype))
        wait(work.device)
    except Exception as error:  # whatever a compiler raises concerns this row alone
        return type(error).__name__
    side.facts["compiling, s"] = time.perf_counter() - began
    return side


def _eager(networks: MuseTalkNetworks) -> Callable[[Tensor, Tensor], Tensor]:
    def paint(latents: Tensor, audio: Tensor) -> Tensor:
        return to_pictures(networks.generate(latents, audio))

    return paint


def count_flops(work: Workload, networks: MuseTalkNetworks) -> float:
    """FLOPs to paint one frame, two for a multiplication and its addition; counted, not assumed.

    Not of packed networks, whose layers are unknown to the counter.
    """
    from torch.utils.flop_counter import FlopCounterMode

    latents, audio = work.inputs([0], networks.dtype)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        networks.generate(latents, audio)
    return float(counter.get_total_flops())
