"""Who paints: the plain networks, the same compiled, and ours. All have the same weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lipstream.bench.workload import Workload, converted, half
from lipstream.rendering.musetalk.checkpoint import MuseTalkNetworks
from lipstream.rendering.musetalk.switches import Switches, switched
from lipstream.rendering.musetalk.vae import to_pictures

PLAIN, COMPILED, OURS = "baseline (a)", "baseline (a'), compiled", "lipstream (b)"


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One contestant. `paint` launches and does not wait."""

    name: str
    networks: MuseTalkNetworks
    paint: Callable[[Tensor, Tensor], Tensor]  # as `MuseTalkNetworks.paint`, but uint8 (b, H, W, 3)
    facts: dict[str, object] = field(default_factory=dict)  # for the report


def plain_side(work: Workload) -> Side:
    """Half precision and the modules as published: what a user has who changes nothing."""
    networks = converted(work.networks, half(work.device), Switches.none())
    return Side(PLAIN, networks, _eager(networks))


def compiled_side(work: Workload) -> Side:
    """The same with `torch.compile` and channels last: what a user tries in an hour."""
    networks = converted(work.networks, half(work.device), Switches(channels_last=True))
    compile_: Callable[..., Any] = torch.compile
    mark_step: Callable[..., Any] = torch.compiler.cudagraph_mark_step_begin
    paint = compile_(_eager(networks), mode="reduce-overhead", dynamic=False)

    def marked(latents: Tensor, audio: Tensor) -> Tensor:
        if latents.device.type == "cuda":
            mark_step()
        painted: Tensor = paint(latents, audio).clone()  # a graph's own output is written again
        return painted

    return Side(COMPILED, networks, marked)


def our_side(work: Workload, batches: tuple[int, ...]) -> Side:
    """Every exact saving that is known to gain on this device."""
    dtype = half(work.device)
    switches = Switches.exact(work.device, dtype)
    networks = converted(work.networks, dtype, switches)
    return Side(OURS, networks, _eager(networks))


def _eager(networks: MuseTalkNetworks) -> Callable[[Tensor, Tensor], Tensor]:
    def paint(latents: Tensor, audio: Tensor) -> Tensor:
        return to_pictures(networks.paint(latents, audio))

    return paint


def count_flops(work: Workload, switches: Switches) -> float:
    """FLOPs to paint one frame, two for a multiplication and its addition; counted, not assumed."""
    from torch.utils.flop_counter import FlopCounterMode

    networks = switched(work.networks, switches)
    latents, audio = work.inputs([0], torch.float32)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        networks.paint(latents, audio)
    return float(counter.get_total_flops())
