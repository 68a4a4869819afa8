"""Options that several commands share, and the progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, TypeVar

import click

from lipstream.config import AvatarConfig, MotionConfig

Command = TypeVar("Command", bound=Callable[..., Any])
Progress = Callable[[int, int | None], None]


def option(flag: str, *names: str, **settings: Any) -> Callable[[Command], Command]:
    """A click option that can also be set by its `LIPSTREAM_...` environment variable."""
    variable = "LIPSTREAM_" + flag.lstrip("-").split("/")[0].replace("-", "_").upper()
    return click.option(flag, *names, envvar=variable, show_envvar=True, **settings)


def backend_option(command: Command) -> Command:
    """--backend"""
    return option(
        "--backend",
        default="auto",
        show_default=True,
        metavar="auto|puppet",
        help="What draws the face. auto takes the best this machine can run and says which.",
    )(command)


def motion_options(command: Command) -> Command:
    """--blink, --sway and --seed: how lively a still portrait is."""
    defaults = MotionConfig()
    for decorate in (
        option("--seed", default=defaults.seed, show_default=True, help="Other blinks and sway."),
        option("--sway/--no-sway", default=defaults.sway, help="Let a still head sway a little."),
        option("--blink/--no-blink", default=defaults.blink, help="Let a still face blink."),
    ):
        command = decorate(command)
    return command


class Colour(click.ParamType[tuple[int, int, int]]):
    """#RRGGBB"""

    name = "#RRGGBB"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int]:
        if isinstance(value, tuple):
            return value
        digits = str(value).lstrip("#")
        try:
            if len(digits) != 6:
                raise ValueError
            red, green, blue = bytes.fromhex(digits)
        except ValueError:
            self.fail(f"{value!r} is no colour; write it as #RRGGBB", param, ctx)
        return red, green, blue


class FrameRate(click.ParamType[Fraction]):
    """A number of frames per second, exact: 25, 29.97 or 30000/1001."""

    name = "fps"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        try:
            rate = Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is no frame rate; write 25, 29.97 or 30000/1001", param, ctx)
        return rate


def avatar_config(background: tuple[int, int, int]) -> AvatarConfig:
    """The avatar settings that the command line offers."""
    return AvatarConfig(background=background)


def background_option(command: Command) -> Command:
    """--background"""
    return option(
        "--background",
        type=Colour(),
        default="#FFFFFF",
        show_default=True,
        help="Colour behind a transparent picture.",
    )(command)


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """A callback that draws a bar on a terminal and does nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)

        def show(done: int, total: int | None) -> None:
            # A hint of the length may be short; the bar must not run over its end.
            bar.update(task, completed=done, total=None if total is None else max(total, done))

        yield show
