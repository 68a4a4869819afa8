"""How long work takes on a device, and how fast the same device can be at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

GEMM_SIDE = 8192
COPY_BYTES = 1 << 30  # of device memory, and an eighth of it to the host
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


def wait(device: torch.device) -> None:
    """Return when the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def exact_float32() -> Iterator[None]:
    """No TF32: what float32 computes here is what the others are measured against."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


@contextmanager
def quickest_convolutions() -> Iterator[None]:
    """cuDNN tries its kernels on every new shape and keeps the fastest, for all sides alike."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the device does at most; the median of some rounds."""

    name: str
    value: float
    unit: str
    worst: float
    best: float

    def record(self) -> dict[str, object]:
        return asdict(self)


@torch.inference_mode()
def measure_ceilings(device: torch.device, tiny: bool) -> list[Ceiling]:
    """Matrix products on drawn numbers, and copies."""
    cuda = device.type == "cuda"
    side = 256 if tiny else GEMM_SIDE if cuda else 1024
    found = [
        _product(device, side, dtype) for dtype in (torch.float16, torch.bfloat16, torch.float32)
    ]
    size = 1 << 22 if tiny or not cuda else COPY_BYTES
    found.append(_copy(device, size))
    if cuda:
        found.append(_copy_out(device, size // 8))
    return found


def peak_tflops(ceilings: list[Ceiling], dtype: torch.dtype) -> float | None:
    """The measured matrix product of a precision, TFLOP/s."""
    name = f"matrix product, {str(dtype).removeprefix('torch.')}"
    return next((ceiling.value for ceiling in ceilings if ceiling.name == name), None)


def _product(device: torch.device, side: int, dtype: torch.dtype) -> Ceiling:
    """A (side, side) product; float32 without TF32."""
    drawn = torch.Generator(device).manual_seed(0)
    one, other = (torch.randn((side, side), generator=drawn, device=device) for _ in range(2))
    one, other = one.to(dtype), other.to(dtype)
    made = torch.empty_like(one)
    with exact_float32():
        rates = _rates(device, lambda: torch.mm(one, other, out=made), 2 * side**3 / 1e12)
    return _ceiling(f"matrix product, {str(dtype).removeprefix('torch.')}", rates, "TFLOP/s")


def _copy(device: torch.device, size: int) -> Ceiling:
    source = torch.randint(0, 255, (size,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    rates = _rates(device, lambda: target.copy_(source), 2 * size / 1e9)
    return _ceiling("copy in memory, read and written", rates, "GB/s")


def _copy_out(device: torch.device, size: int) -> Ceiling:
    source = torch.randint(0, 255, (size,), dtype=torch.uint8, device=device)
    target = torch.empty(size, dtype=torch.uint8, pin_memory=True)
    rates = _rates(device, lambda: target.copy_(source, non_blocking=True), size / 1e9)
    return _ceiling("copy to pinned memory of the host", rates, "GB/s")


def _rates(device: torch.device, work: Callable[[], Tensor], amount: float) -> list[float]:
    """`amount` per second, of some rounds after two that do not count."""
    times = [time_ms(device, work) for _ in range(ROUNDS + 2)][2:]
    return [1000 * amount / max(ms, 1e-6) for ms in times]


def _ceiling(name: str, rates: list[float], unit: str) -> Ceiling:
    return Ceiling(name, median(rates), unit, min(rates), max(rates))
