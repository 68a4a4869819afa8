"""`lipstream bench`: how fast this machine renders, and how many live sessions it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipstream.cli.options.musetalk import live_musetalk_options
from lipstream.cli.options.option import option, path_option
from lipstream.cli.options.shared import (
    backend_option,
)

EPILOG = "Example: lipstream bench --seconds 10 --out results"


@click.command(epilog=EPILOG)
@path_option(
    "--avatar",
    variable="BENCH_AVATAR",
    help="The portrait to draw; by default the example of a checkout.",
)
@option(
    "--seconds",
    type=click.FloatRange(0.5, 600),
    default=20.0,
    variable="BENCH_SECONDS",
    help="For how long each number of sessions is held.",
)
@option(
    "--max-sessions",
    type=click.IntRange(1, 1000),
    default=128,
    variable="BENCH_MAX_SESSIONS",
    help="The largest number of sessions to try.",
)
@option(
    "--baseline/--no-baseline",
    default=True,
    show_default=True,
    variable="BENCH_BASELINE",
    help="musetalk: time the published loop in the same run.",
)
@path_option(
    "--out",
    variable="BENCH_OUT",
    metavar="DIR|FILE.json",
    help="Write all figures there as JSON.",
)
@backend_option
@live_musetalk_options
def bench(out: Path | None, **options: Any) -> None:
    """Measure this machine: frames per second, their limit, and live sessions."""
    from lipstream.bench.report import write_report
    from lipstream.bench.run import BenchOptions, run_bench

    report = run_bench(BenchOptions(**options), click.echo)
    if out is not None:
        click.echo(f"written: {write_report(report, out)}")
