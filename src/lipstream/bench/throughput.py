"""Frames per second. The sides take turns, so that a busy machine disturbs all alike."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import median

import torch

from lipstream.bench.sides import COMPILED, Side
from lipstream.bench.timing import quickest_convolutions, time_ms, wait
from lipstream.bench.workload import Workload
from lipstream.rendering.musetalk.models.unet import add_positions

MIN_ROUNDS = 5
WARM_UP = 3  # batches of each side that do not count, beside those that compile or record


@dataclass(frozen=True, slots=True)
class Speed:
    """One side at one batch size; milliseconds per frame."""

    side: str
    batch: int
    ms: float  # median over the rounds
    best: float
    worst: float
    ratio: float  # times faster than the first side, median over the rounds
    warm_up_s: float  # compiling included
    stages: dict[str, float] = field(default_factory=dict)  # medians, as far as they can be parted

    @property
    def fps(self) -> float:
        return 1000 / self.ms

    def record(self) -> dict[str, object]:
        return asdict(self) | {"fps": self.fps}


def measure_speeds(
    work: Workload, sides: Sequence[Side], batches: Sequence[int], rounds: int
) -> Iterator[Speed]:
    """Every side at every size of batch: latents and audio in, uint8 faces on the device out."""
    rounds = max(rounds, MIN_ROUNDS)
    for batch in batches:
        racing = [side for side in sides if not side.only or batch in side.only]
        # Nothing is yielded from within: the modes would be those of whoever takes it too.
        with torch.inference_mode(), quickest_convolutions():
            found = list(_race(work, racing, batch, rounds))
        yield from found


def _race(work: Workload, sides: Sequence[Side], batch: int, rounds: int) -> Iterator[Speed]:
    start, warm_up = 0, {}
    for side in sides:
        began = time.perf_counter()
        for _ in range(WARM_UP):
            side.paint(*work.inputs(work.batch(start, batch), side.networks.dtype))
            start += batch
        wait(work.device)
        warm_up[side.name] = time.perf_counter() - began
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    for turn in range(rounds):
        # Whoever begins finds the device cooler: they take turns in that too.
        for side in sides if turn % 2 == 0 else reversed(sides):
            given = work.inputs(work.batch(start, batch), side.networks.dtype)
            start += batch  # no side sees the same frames twice in a row
            wait(work.device)
            times[side.name].append(time_ms(work.device, partial(side.paint, *given)) / batch)
    first = times[sides[0].name]
    for side in sides:
        mine = times[side.name]
        yield Speed(
            side.name,
            batch,
            median(mine),
            min(mine),
            max(mine),
            median(one / other for one, other in zip(first, mine, strict=True)),
            warm_up[side.name],
            {} if side.name == COMPILED else _stages(work, side, batch, rounds),
        )


def _stages(work: Workload, side: Side, batch: int, rounds: int) -> dict[str, float]:
    """UNet, decoder and the copy to the host, each alone and launched one by one: no graphs."""
    networks, device = side.networks, work.device
    found: dict[str, list[float]] = {"unet": [], "unet and decoder": [], "copy to host": []}
    for turn in range(max(rounds // 2, 2) + 1):
        latents, audio = work.inputs(work.batch(turn * batch, batch), networks.dtype)
        placed = add_positions(audio)
        pictures = side.paint(latents, audio)
        wait(device)
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
    """How much of the measured matrix product a side reaches."""

    side: str
    batch: int
    gflop_nominal: float  # per frame, of the plain networks
    gflop_executed: float  # of the side's own
    nominal: float  # shares of the ceiling
    executed: float

    def record(self) -> dict[str, object]:
        return asdict(self)


def utilisation(speed: Speed, nominal: float, executed: float, peak_tflops: float) -> Utilisation:
    """`nominal` and `executed` are FLOPs per frame."""
    share = speed.fps / (peak_tflops * 1e12)
    return Utilisation(
        speed.side, speed.batch, nominal / 1e9, executed / 1e9, share * nominal, share * executed
    )
