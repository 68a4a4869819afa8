"""An option of a command: with an environment variable, paths of this machine, groups."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


class LocalPath(click.Path):
    """A path of this machine; a leading ~ is the home folder, in quotes and settings too."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(str(super().convert(value, param, ctx)))
        with contextlib.suppress(RuntimeError):  # there is no home, or no such user
            return path.expanduser()
        return path


class Option(click.Option):
    """A click option whose variable may be followed by a blank, as scripts leave one."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        value = super().resolve_envvar_value(ctx)
        if value is None or isinstance(self.type, click.Path):  # a name may end in a blank
            return value
        return value.strip()


def option(
    flag: str, *names: str, variable: str | None = None, **settings: Any
) -> Callable[[Command], Command]:
    """A click option with an environment variable: LIPSTREAM_ and its own name, or `variable`."""
    settings.setdefault("show_default", "/" not in flag and settings.get("default") is not None)
    name = flag.lstrip("-").split("/")[0].replace("-", "_").upper()
    variable = f"LIPSTREAM_{variable or name}"
    settings = {"cls": Option, "envvar": variable, "show_envvar": True, **settings}
    return click.option(flag, *names, **settings)


def path_option(flag: str, *names: str, **settings: Any) -> Callable[[Command], Command]:
    """An option that takes a path."""
    return option(flag, *names, type=LocalPath(), **settings)


def number(
    flag: str,
    help: str,
    default: int | None = None,
    low: int = 1,
    high: int | None = None,
    *,
    name: str = "",
    unit: str | None = None,
) -> Callable[[Any], Any]:
    """An option that takes a whole number from `low` to `high`."""
    return option(
        flag,
        *filter(None, [name]),
        type=click.IntRange(low, high),
        default=default,
        metavar=unit,
        help=help,
    )


def with_options(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    """Add the options, which `--help` lists in this order."""
    for decorate in reversed(options):
        command = decorate(command)
    return command
