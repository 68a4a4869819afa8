"""Frames per second of the networks alone.

Contenders take turns, so that a busy machine disturbs all alike.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import median

import torch

from benchmarks.gpu.contenders import COMPILED, Contender
from benchmarks.gpu.synthetic_workload import Workload
from lipstream.bench.device_timing import time_ms
from lipstream.rendering.musetalk.models.unet import add_positions
from lipstream.rendering.musetalk.optimizations.cuda_graphs import cudnn_autotune

MIN_ROUNDS = 5
WARM_UP = 3  # batches of each contender that do not count, beside those that compile or record


@dataclass(frozen=True, slots=True)
class Speed:
    """One contender at one batch size; milliseconds per frame."""

    contender: str
    batch: int
    ms: float  # median over the rounds
    best: float
    worst: float
    ratio: float  # times faster than the first contender, median over the rounds
    warm_up_s: float  # compiling included
    stages: dict[str, float] = field(default_factory=dict)  # medians, as far as they can be parted

    @property
    def fps(self) -> float:
        return 1000 / self.ms

    def record(self) -> dict[str, object]:
        return asdict(self) | {"fps": self.fps}


def measure_speeds(
    work: Workload, contenders: Sequence[Contender], batches: Sequence[int], rounds: int
) -> Iterator[Speed]:
    """Every contender at every batch size: latents and audio in, uint8 faces on the device out."""
    rounds = max(rounds, MIN_ROUNDS)
    for batch in batches:
        racing = [
            contender for contender in contenders if not contender.only or batch in contender.only
        ]
        # Nothing is yielded from within: the modes would hold for the caller too.
        with torch.inference_mode(), cudnn_autotune():
            found = list(_race(work, racing, batch, rounds))
        yield from found


def _race(
    work: Workload, contenders: Sequence[Contender], batch: int, rounds: int
) -> Iterator[Speed]:
    start, warm_up = 0, {}
    for contender in contenders:
        began = time.perf_counter()
        for _ in range(WARM_UP):
            contender.paint(*work.inputs(work.batch(start, batch), contender.networks.dtype))
            start += batch
        work.synchronize()
        warm_up[contender.name] = time.perf_counter() - began
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for turn in range(rounds):
        # The first finds the device cooler: they take turns in that too.
        for contender in contenders if turn % 2 == 0 else reversed(contenders):
            given = work.inputs(work.batch(start, batch), contender.networks.dtype)
            start += batch  # none sees the same frames twice in a row
            work.synchronize()
            times[contender.name].append(
                time_ms(work.device, partial(contender.paint, *given)) / batch
            )
    first = times[contenders[0].name]
    for contender in contenders:
        mine = times[contender.name]
        yield Speed(
            contender.name,
            batch,
            median(mine),
            min(mine),
            max(mine),
            median(one / other for one, other in zip(first, mine, strict=True)),
            warm_up[contender.name],
            {} if contender.name == COMPILED else _stages(work, contender, batch, rounds),
        )


def _stages(work: Workload, contender: Contender, batch: int, rounds: int) -> dict[str, float]:
    """UNet, decoder and the copy to the host, each alone and launched one by one: no graphs."""
    networks, device = contender.networks, work.device
    found: dict[str, list[float]] = {"unet": [], "unet and decoder": [], "copy to host": []}
    for turn in range(max(rounds // 2, 2) + 1):
        latents, audio = work.inputs(work.batch(turn * batch, batch), networks.dtype)
        placed = add_positions(audio)
        pictures = contender.paint(latents, audio)
        work.synchronize()
        timed = {
            "unet": time_ms(device, partial(networks.unet, latents, placed)),
            "unet and decoder": time_ms(device, partial(networks.generate, latents, audio)),
            "copy to host": time_ms(device, pictures.cpu),
        }
        if turn:  # the first one warms up
            for name, ms in timed.items():
                found[name].append(ms / batch)
    stages = {name: median(times) for name, times in found.items()}
    both = stages.pop("unet and decoder")
    return {"unet": stages["unet"], "decoder": max(both - stages["unet"], 0.0)} | {
        "copy to host": stages["copy to host"]
    }


@dataclass(frozen=True, slots=True)
class Utilisation:
    """The share of the measured matrix product that a contender reaches."""

    contender: str
    batch: int
    gflop_nominal: float  # per frame, of the plain networks
    gflop_executed: float  # of the contender's own
    nominal: float  # shares of the ceiling
    executed: float

    def record(self) -> dict[str, object]:
        return asdict(self)


def utilisation(speed: Speed, nominal: float, executed: float, peak_tflops: float) -> Utilisation:
    """Shares from FLOPs per frame: `nominal` of the plain networks, `executed` of its own."""
    share = speed.fps / (peak_tflops * 1e12)
    return Utilisation(
        speed.contender,
        speed.batch,
        nominal / 1e9,
        executed / 1e9,
        share * nominal,
        share * executed,
    )
