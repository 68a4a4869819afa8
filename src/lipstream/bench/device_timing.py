"""The time that work takes on a device, and the limit that its matrix product sets."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks

GEMM_SIDE, CPU_GEMM_SIDE = 8192, 1024
ROUNDS = 5


def time_ms(device: torch.device, work: Callable[[], object]) -> float:
    """Milliseconds from the launch of `work` to its end on the device."""
    if device.type != "cuda":
        began = time.perf_counter()
        work()
        return 1000 * (time.perf_counter() - began)
    event: Callable[..., Any] = torch.cuda.Event
    start, end = (event(enable_timing=True) for _ in range(2))
    start.record()
    work()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))


@torch.inference_mode()
def matrix_product(
    device: torch.device, dtype: torch.dtype, side: int | None = None
) -> list[float]:
    """TFLOP/s of a (side, side) product of random numbers: `ROUNDS` values after a warm-up."""
    side = side or (GEMM_SIDE if device.type == "cuda" else CPU_GEMM_SIDE)
    random = torch.Generator(device).manual_seed(0)
    one, other = (
        torch.randn((side, side), generator=random, device=device).to(dtype) for _ in range(2)
    )
    out = torch.empty_like(one)
    times = [time_ms(device, lambda: torch.mm(one, other, out=out)) for _ in range(ROUNDS + 2)][2:]
    return [2 * side**3 / (1e9 * max(ms, 1e-6)) for ms in times]


def count_flops(networks: MuseTalkNetworks, latents: Tensor, audio: Tensor) -> float:
    """The FLOPs of one call, two per multiply-add; layers of packed networks are not counted."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        networks.generate(latents, audio)
    return float(counter.get_total_flops())


def fps_limit(networks: MuseTalkNetworks, latents: Tensor, audio: Tensor) -> float:
    """Frames per second if the device did nothing but the products of one frame's FLOPs."""
    flops = count_flops(networks, latents[:1], audio[:1])
    return 1e12 * median(matrix_product(networks.device, networks.dtype)) / flops
