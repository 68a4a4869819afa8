"""What both command lines of the benchmark do."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lipstream.bench.plot import plot_report, plot_there
from lipstream.bench.report import read_report, write_report
from lipstream.bench.run import BenchOptions, Tell, run_bench
from lipstream.errors import LipstreamError


def bench(options: BenchOptions, out: Path | None, tell: Tell) -> None:
    """Measure, tell, and write `out`; LipstreamError when something was found wanting."""
    if out is None:
        report = run_bench(options, tell)
    else:
        report = run_bench(options, tell, partial(write_report, out=out))
        path = write_report(report, out)
        tell("")
        tell(f"written: {path}")
        if plot_there():
            tell(f"written: {plot_report(report.record(), path.with_suffix('.png'))}")
        else:
            tell(f"for a plot, where OpenCV is: lipstream bench --plot {path}")
    if report.failed:
        raise LipstreamError(f"{'; '.join(report.failed)}.")


def plot(path: Path, tell: Tell) -> None:
    """Draw a report that was written before."""
    tell(f"written: {plot_report(read_report(path), path.with_suffix('.png'))}")
