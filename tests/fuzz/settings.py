"""Files given by `--config`, up to the options of each command."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

import click

from lipstream.cli.options.settings import read_settings
from lipstream.cli.options.usage import usage_sentence
from lipstream.cli.program import cli
from lipstream.errors import LipstreamError
from tests.fuzz.targets import check_sentence

ARGUMENTS = {"models": ["list"]}


def check(data: bytes) -> None:
    """Take `data` for such a file, and parse an empty call of each command with it."""
    path = _scratch()
    path.write_bytes(data)
    try:
        settings = read_settings(path, cli.commands)
    except LipstreamError as error:
        check_sentence(error)
        return
    named = {"info_name": "lipstream", "obj": {"debug": False}, **cli.context_settings}
    root = click.Context(cli, default_map=settings, **named)
    root.params["config"] = path
    for name, command in cli.commands.items():
        try:
            with command.make_context(name, [*ARGUMENTS.get(name, [])], root):
                pass
        except click.exceptions.Exit:
            pass
        except click.ClickException as error:
            assert usage_sentence(error)
        except LipstreamError as error:
            check_sentence(error)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()  # goes with the process


def _scratch() -> Path:
    return Path(_folder().name) / f"{os.getpid()}.toml"
