"""The file given by `--config`: a table per command, a key per option.

debug = true

[render]
avatar = "face.png"
fps = 30
sway = false
"""

from __future__ import annotations

import re
import sys
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from lipstream.cli.options.usage import key
from lipstream.errors import OptionError, reason_of

# What TOML makes of the backslashes in "C:\new\face.png".
CONTROLS = re.compile(r"[\n\t\b\r\f]")
INSTEAD = "write a path with single quotes, as in 'C:\\faces\\anna.png', or with /"


def read_settings(path: Path, commands: Mapping[str, click.Command]) -> dict[str, Any]:
    """The file as click's default map, {command: {option: value}}, and "debug" if it is set.

    Raises OptionError, which names the file and the key, for anything that no option takes.
    """
    settings: dict[str, Any] = {}
    for name, value in _parsed(path).items():
        if name == "debug":
            if not isinstance(value, bool):
                raise _refused(path, f"debug is {value!r}; write true or false")
            settings[name] = value
        elif name in commands and isinstance(value, dict):
            settings[name] = _table(path, commands[name], value)
        else:
            tables = ", ".join(f"[{command}]" for command in commands)
            raise _refused(path, f"{name!r} is no table of a command; use {tables}")
    return settings


def _parsed(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    text = _text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), ", str(error))
        number = int(place[1]) if place else 1
        line = text.split("\n")[number - 1]
        if re.search(r'"[^"]*\\', line):
            reason = f"line {number} has a backslash in double quotes; {INSTEAD}"
        else:
            reason = f"the file is no valid TOML: {error}; correct it there"
        raise _refused(path, reason) from error
    except (RecursionError, ValueError) as error:  # a number of 5000 digits is no TOMLDecodeError
        raise _refused(path, "the file is nested too deep, or has an absurd number") from error


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = f"the file cannot be read: {reason_of(error)}; check its name"
        raise _refused(path, reason) from error
    try:
        return content.decode("utf-8-sig")  # editors on Windows write a byte-order mark
    except UnicodeDecodeError as error:
        kind = "UTF-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "not UTF-8"
        raise _refused(path, f"the file is {kind}; save it as UTF-8") from error


def _table(path: Path, command: click.Command, table: dict[str, Any]) -> dict[str, Any]:
    options = {
        key(parameter): parameter
        for parameter in command.params
        if isinstance(parameter, click.Option)
    }
    values = {}
    for name, value in table.items():
        option = options.get(name.replace("_", "-"))
        if option is None:
            known = ", ".join(options)
            raise _refused(path, f"[{command.name}] has no option {name!r}; use {known}")
        types, description = _expected(option)
        each = value if option.multiple and isinstance(value, list) else [value]
        if any(isinstance(part, str) and CONTROLS.search(part) for part in each):
            reason = f"{name} in [{command.name}] reads {value!r}, because of a backslash"
            raise _refused(path, f"{reason}; {INSTEAD}")
        if not all(_fits(part, types, option.is_flag) for part in each):
            raise _refused(path, f"{name} in [{command.name}] is {value!r}; write {description}")
        values[str(option.name)] = each if option.multiple else value
    return values


def _fits(value: Any, types: tuple[type, ...], is_flag: bool) -> bool:
    # A bool is an int to Python, and no name of a file holds a zero byte.
    odd = "\0" in value if isinstance(value, str) else isinstance(value, bool)
    return isinstance(value, types) and (is_flag or not odd)


def _expected(option: click.Option) -> tuple[tuple[type, ...], str]:
    """The TOML types an option takes, and their description."""
    if option.is_flag:
        return (bool,), "true or false"
    if isinstance(option.type, click.types.IntParamType):
        return (int,), "a whole number"
    if isinstance(option.type, click.types.FloatParamType):
        return (int, float), "a number"
    if isinstance(option.type, click.Path):
        return (str,), "a path in quotes"
    if option.multiple:
        return (str,), "a text in quotes, or several in brackets"
    return (str, int, float), "a text in quotes or a number"


def _refused(path: Path, reason: str) -> OptionError:
    return OptionError(f"--config {click.format_filename(path)}: {reason}.")
