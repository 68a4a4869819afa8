"""One run of the GPU benchmark: the chosen parts, one after the other, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.gpu.fixtures import Fixtures
from benchmarks.gpu.report import Report, part_table
from benchmarks.gpu.virtual_scheduler import DEVICES, run_schedule
from lipstream.bench.machine import describe_gpu, describe_machine
from lipstream.errors import OptionError

PARTS = ("ceilings", "equality", "throughput", "sessions", "schedule")
SLOW_ON_A_CPU = ("equality", "throughput", "sessions")  # with networks of the published size
BATCHES = (1, 2, 4, 8, 16, 24, 32)
MAX_BATCH = 32

Echo = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """The settings of a run. OptionError for batches and devices that cannot be."""

    parts: tuple[str, ...] = ()  # none: all that fit this machine
    tiny: bool = False
    baseline: bool = True
    batches: tuple[int, ...] = ()  # none: `BATCHES`, or few with `tiny`
    seconds: float | None = None  # of each number of sessions
    device: str | None = None

    def __post_init__(self) -> None:
        if not all(1 <= batch <= MAX_BATCH for batch in self.batches):
            raise OptionError(f"batches must lie between 1 and {MAX_BATCH}.")


def run_bench(
    options: BenchOptions, echo: Echo, save: Callable[[Report], object] | None = None
) -> Report:
    """Run the parts; print each one's tables when it is done, and give `save` the report so far.

    A result that is not as it has to be is a sentence in `Report.failed`.
    """
    device = _device(options.device)
    batches = options.batches or ((1, 4) if options.tiny else BATCHES)
    seconds = options.seconds or (1.0 if options.tiny else 20.0)
    fixtures = Fixtures(device, options.tiny, batches, seconds, options.baseline)
    networks = "tiny networks" if options.tiny else "published size"
    report = Report(describe_machine(), device, fixtures.dtype, networks)
    gpu = describe_gpu() if device.startswith("cuda") else None
    report.gpu = {"before": gpu, "after": None}
    where = (gpu or {}).get("name")
    where = where or f"{report.machine['processor']}, {report.machine['cores']} cores"
    echo(f"lipstream {report.machine['lipstream']} on {where}; {networks}, {fixtures.dtype}")
    for part in _parts(options, device):
        began = time.perf_counter()
        report.parts[part] = _measure(part, options, fixtures, report)
        report.seconds[part] = round(time.perf_counter() - began, 1)
        echo("")
        for line in part_table(part, report.parts[part]):
            echo(line)
        echo(f"[{part}: {report.seconds[part]:.0f} s]")
        if gpu is not None:
            report.gpu["after"] = describe_gpu()
        if save is not None:  # a run that is ended by force leaves what it has found
            save(report)
    return report


def _measure(part: str, options: BenchOptions, fixtures: Fixtures, report: Report) -> Any:
    """A part's records."""
    if part != "schedule":
        return getattr(fixtures, part)(report)
    devices = DEVICES[:1] if options.tiny else DEVICES
    rows = run_schedule(options.seconds or (5.0 if options.tiny else 20.0), devices)
    report.failed += [
        f"the scheduler holds {row.sessions} of the {row.ceiling:.1f} sessions of {row.device!r}"
        for row in rows
        if not row.enough
    ]
    return [row.record() for row in rows]


def _parts(options: BenchOptions, device: str) -> tuple[str, ...]:
    """The chosen parts in the order of `PARTS`; else all that fit."""
    if options.parts:
        return tuple(part for part in PARTS if part in options.parts)
    slow = device == "cpu" and not options.tiny
    return tuple(part for part in PARTS if not (slow and part in SLOW_ON_A_CPU))


def _device(name: str | None) -> str:
    """cpu, cuda or cuda:1; OptionError for one that is unknown or missing."""
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise OptionError(f"there is no device {name!r}; use cuda or cpu.") from None
    if device.type not in ("cpu", "cuda"):
        raise OptionError(f"there is no device {name!r}; use cuda or cpu.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise OptionError(f"device {name!r} was asked for but PyTorch sees no GPU.")
    return str(device)
