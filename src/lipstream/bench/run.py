"""One run of the benchmark: the parts that were asked for, one after the other, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipstream.bench.machine import describe_gpu, describe_machine
from lipstream.bench.puppet import drawable, find_portrait, measure_puppet
from lipstream.bench.report import Report, told
from lipstream.bench.schedule import DEVICES, run_schedule
from lipstream.errors import MissingError, OptionError

if TYPE_CHECKING:
    from lipstream.bench.bed import Bed

PARTS = ("ceilings", "equality", "throughput", "sessions", "schedule", "puppet")
NEED_TORCH = ("ceilings", "equality", "throughput", "sessions")
SLOW_ON_A_CPU = ("equality", "throughput", "sessions")  # with networks of the published size
BATCHES = (1, 2, 4, 8, 16, 24, 32)
MAX_BATCH = 32

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure and how."""

    parts: tuple[str, ...] = ()  # none: all that fit this machine
    tiny: bool = False
    baseline: bool = True
    batches: tuple[int, ...] = ()  # none: `BATCHES`, or few with `tiny`
    seconds: float | None = None  # of each number of sessions
    device: str | None = None
    avatar: Path | None = None  # of the puppet


def run_bench(
    options: BenchOptions, tell: Tell, keep: Callable[[Report], object] | None = None
) -> Report:
    """Run the parts; each one's tables are told as soon as it is done, and `keep` has the report.

    OptionError for what can never be measured, MissingError for what is not installed. What was
    measured and found wanting stands in `Report.failed`.
    """
    device = _device(options)
    parts = _parts(options, device)
    bed = _bed(options, device) if set(parts) & set(NEED_TORCH) else None
    report = Report(
        describe_machine(),
        device,
        None if bed is None else bed.dtype,
        "tiny networks" if options.tiny else "published size",
        gpu_before=describe_gpu() if device.startswith("cuda") else None,
    )
    tell(_headline(report))
    for part in parts:
        began = time.perf_counter()
        report.parts[part] = _measure(part, options, bed, report)
        report.seconds[part] = round(time.perf_counter() - began, 1)
        tell("")
        for line in told(part, report.parts[part]):
            tell(line)
        tell(f"[{part}: {report.seconds[part]:.0f} s]")
        if device.startswith("cuda"):
            report.gpu_after = describe_gpu()
        if keep is not None:  # a run that is ended by force leaves what it has found
            keep(report)
    return report


def _headline(report: Report) -> str:
    gpu = (report.gpu_before or {}).get("name")
    where = gpu or f"{report.machine['processor']}, {report.machine['cores']} cores"
    what = f"{report.networks}, {report.dtype}" if report.dtype else "no networks"
    return f"lipstream {report.machine['lipstream']} on {where}; {what}, profile {report.profile}"


def _measure(part: str, options: BenchOptions, bed: Bed | None, report: Report) -> Any:
    """A part's records."""
    if part == "schedule":
        devices = DEVICES[:1] if options.tiny else DEVICES
        rows = run_schedule(options.seconds or (5.0 if options.tiny else 20.0), devices)
        for row in rows:
            if not row.enough:
                report.failed.append(
                    f"the scheduler holds {row.sessions} sessions of {row.ceiling:.1f} that "
                    f"{row.device!r} could"
                )
        return [row.record() for row in rows]
    if part == "puppet":
        picture = find_portrait(options.avatar)
        return [one.record() for one in measure_puppet(picture, 15 if options.tiny else 250)]
    assert bed is not None
    return getattr(bed, part)(report)


def _parts(options: BenchOptions, device: str) -> tuple[str, ...]:
    """What is asked for, in the order of `PARTS`; else what fits."""
    for part in options.parts:
        if part not in PARTS:
            raise OptionError(f"there is no part {part!r}; use {', '.join(PARTS)}.")
    if options.parts:
        if "puppet" in options.parts and not drawable():
            raise MissingError("the puppet needs opencv-python-headless and soxr; install both.")
        return tuple(part for part in PARTS if part in options.parts)
    fitting = list(PARTS)
    if find_spec("torch") is None:
        fitting = [part for part in fitting if part not in NEED_TORCH]
    elif device == "cpu" and not options.tiny:
        fitting = [part for part in fitting if part not in SLOW_ON_A_CPU]
    if not drawable() or (options.avatar is None and not _example()):
        fitting.remove("puppet")
    return tuple(fitting)


def _example() -> bool:
    try:
        find_portrait(None)
    except MissingError:
        return False
    return True


def _device(options: BenchOptions) -> str:
    """cpu, cuda or cuda:1; OptionError for what is none or not there."""
    if find_spec("torch") is None:
        if options.device not in (None, "cpu"):
            raise MissingError(
                f"device {options.device!r} needs PyTorch; run `pip install 'lipstream[musetalk]'`."
            )
        return "cpu"
    import torch

    if options.device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(options.device)
    except RuntimeError:
        raise OptionError(f"there is no device {options.device!r}; use cuda or cpu.") from None
    if device.type not in ("cpu", "cuda"):
        raise OptionError(f"there is no device {options.device!r}; use cuda or cpu.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise OptionError(f"device {options.device!r} was asked for but PyTorch sees no GPU.")
    return str(device)


def _bed(options: BenchOptions, device: str) -> Bed:
    if find_spec("torch") is None:
        raise MissingError(
            "this part of the benchmark needs PyTorch; run `pip install 'lipstream[musetalk]'`."
        )
    from lipstream.bench.bed import Bed

    batches = options.batches or ((1, 4) if options.tiny else BATCHES)
    if not all(1 <= batch <= MAX_BATCH for batch in batches):
        raise OptionError(f"batches must lie between 1 and {MAX_BATCH}.")
    seconds = options.seconds or (1.0 if options.tiny else 20.0)
    return Bed(device, options.tiny, batches, seconds, options.baseline)
