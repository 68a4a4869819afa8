"""`python -m lipstream.bench`: `lipstream bench` for machines that have PyTorch and little else."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lipstream.bench.command import bench
from lipstream.bench.run import PARTS, BenchOptions
from lipstream.errors import LipstreamError, OptionError


def main() -> int:
    """The exit code: 0 done, 1 something was found wanting, 2 the call was wrong."""
    parser = argparse.ArgumentParser(prog="lipstream.bench", description=__doc__)
    parser.add_argument("--part", action="append", default=[], choices=PARTS)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--no-baseline", action="store_true")
    parser.add_argument("--batches", type=int, nargs="+", default=[])
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    options = BenchOptions(
        tuple(given.part),
        given.tiny,
        not given.no_baseline,
        tuple(given.batches),
        given.seconds,
        given.device,
    )
    try:
        bench(options, given.out, lambda line: print(line, flush=True))
    except LipstreamError as error:
        print(f"lipstream: {error}", file=sys.stderr)
        return 2 if isinstance(error, OptionError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
