"""An option of a command: with an environment variable, paths of this machine, groups."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
AVATAR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class LocalPath(click.Path):
    """A path of this machine; a leading ~ is the home folder, in quotes and settings too."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(str(super().convert(value, param, ctx)))
        with contextlib.suppress(RuntimeError):  # there is no home, or no such user
            return path.expanduser()
        return path


class NamedPath(click.ParamType):  # type: ignore[type-arg]
    """NAME=PATH, or a path whose stem is the name."""

    name = "name=path"
    envvar_list_splitter = ":"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Path]:
        name, separator, path = str(value).partition("=")
        if not separator:
            name, path = Path(value).stem, value
        if not AVATAR_NAME.fullmatch(name) or not path:
            self.fail(
                f"{value!r} names no avatar; write NAME=PATH with a name of letters, digits, "
                "dots, dashes or underscores",
                param,
                ctx,
            )
        return name, LocalPath().convert(path, param, ctx)


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


def several(flag: str, name: str, help: str, **settings: Any) -> Callable[[Any], Any]:
    """An option that may be repeated; it takes an address unless `settings` differ."""
    chosen = {"metavar": "URL", **settings}
    return option(flag, name, multiple=True, help=f"{help} Repeatable.", **chosen)


def seconds(flag: str, help: str, default: int, low: int = 1) -> Callable[[Any], Any]:
    """An option that sets the field of ServeSettings called like it, with `_s`."""
    name = flag.removeprefix("--").replace("-", "_") + "_s"
    return number(flag, help, default, low, name=name, unit="SECONDS")


def with_options(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    """Add the options, which `--help` lists in this order."""
    for decorate in reversed(options):
        command = decorate(command)
    return command
