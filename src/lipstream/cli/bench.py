"""`lipstream bench`: how fast, how many and how exact, on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from lipstream.cli.options import option

PARTS = ("ceilings", "equality", "throughput", "sessions", "schedule", "puppet")
EPILOG = "Example: lipstream bench --part equality --part throughput --out results"


def _batches(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, ...]:
    """Numbers between commas."""
    numbers = [] if value is None else value.split(",")
    if not all(number.strip().isdecimal() and len(number) < 4 for number in numbers):
        wrong = f"{value!r} is no list of numbers; write 1,8,32"
        raise click.BadParameter(wrong, context, parameter)
    return tuple(int(number) for number in numbers)


@click.command(epilog=EPILOG)
@option(
    "--part",
    "parts",
    multiple=True,
    variable="BENCH_PARTS",
    type=click.Choice(PARTS),
    help="What to measure; by default all that fits this machine. Repeatable.",
)
@option(
    "--tiny",
    is_flag=True,
    variable="BENCH_TINY",
    help="Networks of test size: does everything run, and is it equal? Says nothing about speed.",
)
@option(
    "--baseline/--no-baseline",
    default=True,
    show_default=True,
    variable="BENCH_BASELINE",
    help="Time the published way in the same run.",
)
@option(
    "--batches",
    variable="BENCH_BATCHES",
    metavar="N,N...",
    callback=_batches,
    help="Frames that the networks paint at once, such as 1,8,32.",
)
@option(
    "--seconds",
    type=click.FloatRange(0.5, 600),
    variable="BENCH_SECONDS",
    help="For how long each number of sessions is held.",
)
@option("--device", help="cuda, cuda:1 or cpu; default a GPU where there is one.")
@option(
    "--avatar",
    type=click.Path(path_type=Path),
    variable="BENCH_AVATAR",
    help="The portrait that the puppet draws; by default the example of a checkout.",
)
@option(
    "--out",
    type=click.Path(path_type=Path),
    variable="BENCH_OUT",
    metavar="DIR|FILE.json",
    help="Write a report there as JSON, and beside it as a plot.",
)
@option(
    "--plot",
    type=click.Path(path_type=Path),
    variable="BENCH_PLOT",
    metavar="FILE",
    help="Measure nothing: draw a report that was written before.",
)
def bench(
    parts: tuple[str, ...],
    tiny: bool,
    baseline: bool,
    batches: tuple[int, ...],
    seconds: float | None,
    device: str | None,
    avatar: Path | None,
    out: Path | None,
    plot: Path | None,
) -> None:
    """Measure this machine; exit 1 if anything is not as it has to be.

    Weights are drawn at random: nothing has to be pulled, and nothing is said about quality.
    """
    from lipstream.bench import command
    from lipstream.bench.run import BenchOptions

    if plot is not None:
        command.plot(plot, click.echo)
        return
    options = BenchOptions(parts, tiny, baseline, batches, seconds, device, avatar)
    command.bench(options, out, click.echo)
