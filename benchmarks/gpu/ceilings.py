"""The most that a device does: matrix products in three precisions, and copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median

import torch

from lipstream.bench.device_timing import ROUNDS, matrix_product, time_ms

COPY_BYTES = 1 << 30  # of device memory, and an eighth of it to the host
DTYPES = (torch.float16, torch.bfloat16, torch.float32)


@contextmanager
def exact_float32() -> Iterator[None]:
    """Switch TF32 off meanwhile: what float32 computes then is the reference."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


@dataclass(frozen=True, slots=True)
class Ceiling:
    """One kind of work; median, worst and best of some rounds."""

    name: str
    value: float
    unit: str
    worst: float
    best: float

    @classmethod
    def of(cls, name: str, unit: str, rates: Sequence[float]) -> Ceiling:
        return cls(name, median(rates), unit, min(rates), max(rates))

    def record(self) -> dict[str, object]:
        return asdict(self)


@torch.inference_mode()
def measure_ceilings(device: torch.device, tiny: bool) -> list[Ceiling]:
    """Matrix products of random numbers, float32 without TF32, and copies."""
    cuda = device.type == "cuda"
    with exact_float32():
        found = [
            Ceiling.of(
                _product_name(dtype),
                "TFLOP/s",
                matrix_product(device, dtype, 256 if tiny else None),
            )
            for dtype in DTYPES
        ]
    size = 1 << 22 if tiny or not cuda else COPY_BYTES
    source = torch.randint(0, 255, (size,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    rates = _rates(device, lambda: target.copy_(source), 2 * size / 1e9)
    found.append(Ceiling.of("copy in memory, read and written", "GB/s", rates))
    if cuda:
        part = source[: size // 8]
        host = torch.empty(len(part), dtype=torch.uint8, pin_memory=True)
        rates = _rates(device, lambda: host.copy_(part, non_blocking=True), len(part) / 1e9)
        found.append(Ceiling.of("copy to pinned memory of the host", "GB/s", rates))
    return found


def peak_tflops(ceilings: Sequence[Ceiling], dtype: torch.dtype) -> float | None:
    """The measured matrix product of a precision, TFLOP/s."""
    name = _product_name(dtype)
    return next((ceiling.value for ceiling in ceilings if ceiling.name == name), None)


def _product_name(dtype: torch.dtype) -> str:
    return f"matrix product, {str(dtype).removeprefix('torch.')}"


def _rates(device: torch.device, work: Callable[[], object], amount: float) -> list[float]:
    """`amount` per second in `ROUNDS` rounds, after two that do not count."""
    times = [time_ms(device, work) for _ in range(ROUNDS + 2)][2:]
    return [1000 * amount / max(ms, 1e-6) for ms in times]
