"""Progress bars on a terminal, silence or lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from lipstream.config import Progress


@contextmanager
def progress_bars(*, lines: bool = False) -> Iterator[Callable[[str], Progress]]:
    """Yield a function that makes one more bar with a label; each appears on its first call.

    The bars go away at the end, so that a result or an error stands alone. Where there is no
    terminal each label is a line if `lines`: for a command whose output is read while it runs.
    """
    if sys.stderr is None or not sys.stderr.isatty():  # None: closed by the caller

        def new_line(label: str) -> Progress:
            said = not lines

            def show(done: int, total: int | None) -> None:
                nonlocal said
                if not said:
                    click.echo(label, err=True)
                said = True

            return show

        yield new_line
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def new_bar(label: str) -> Progress:
            task: progress.TaskID | None = None

            def show(done: int, total: int | None) -> None:
                nonlocal task
                if task is None:
                    task = bars.add_task(label, total=None)
                # A hint of the length may be short; the bar must not run over its end.
                known = None if total is None else max(total, done)
                bars.update(task, completed=done, total=known)

            return show

        yield new_bar
