"""MuseTalk's speed, equality and sessions on a device, and the scheduler in virtual time.

    python -m benchmarks.gpu [--part NAME ...] [--tiny] [--out FILE.json]

Needs PyTorch, numpy, OpenCV, soxr and Pillow, on a GPU Triton too. Weights are random. Exits with 1
when something is not equal, or when the scheduler holds too few sessions.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from benchmarks.gpu.report import Report
from benchmarks.gpu.run import PARTS, BenchOptions, run_bench
from lipstream.bench.report import write_report
from lipstream.errors import LipstreamError, OptionError


def main(arguments: list[str] | None = None) -> int:
    """Measure; returns the exit code: 0 done, 1 a result is not as it has to be, 2 a wrong call."""
    parser = argparse.ArgumentParser("benchmarks.gpu", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--part", action="append", default=[], choices=PARTS)
    parser.add_argument("--tiny", action="store_true", help="networks of test size")
    parser.add_argument("--no-baseline", action="store_true")
    parser.add_argument("--batches", type=int, nargs="+", default=[])
    parser.add_argument("--seconds", type=float, help="for which a number of sessions is held")
    parser.add_argument("--device", help="cuda, cuda:1 or cpu")
    parser.add_argument("--out", type=Path, help="write the report there as JSON")
    given = parser.parse_args(arguments)
    try:
        options = BenchOptions(
            tuple(given.part),
            given.tiny,
            not given.no_baseline,
            tuple(given.batches),
            given.seconds,
            given.device,
        )
        save = None if given.out is None else partial(_save, given.out)
        failed = run_bench(options, partial(print, flush=True), save).failed
    except LipstreamError as error:
        print(f"benchmarks.gpu: {error}", file=sys.stderr)
        return 2 if isinstance(error, OptionError) else 1
    if failed:
        print(f"benchmarks.gpu: {'; '.join(failed)}.", file=sys.stderr)
    return int(bool(failed))


def _save(out: Path, report: Report) -> None:
    write_report(report.record(), out)


if __name__ == "__main__":
    sys.exit(main())
