"""The command line's entry: settings, exit codes, one sentence for every failure.

Exit codes: 0 done, 1 the work failed, 2 the call was wrong. A flag wins over its `LIPSTREAM_...`
environment variable, which wins over the file given by `--config`.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import click

from lipstream import __version__
from lipstream.cli.doctor import doctor
from lipstream.cli.prepare import prepare
from lipstream.cli.render import render
from lipstream.errors import LipstreamError, OptionError

FAILED, MISUSED = 1, 2


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="LIPSTREAM_CONFIG",
    help="TOML file with settings: tables named like the commands, keys named like their options.",
)
@click.option("--debug", is_flag=True, envvar="LIPSTREAM_DEBUG", help="Show tracebacks of errors.")
@click.version_option(__version__, prog_name="lipstream")
@click.pass_context
def cli(context: click.Context, config: Path | None, debug: bool) -> None:
    """Speech in, a talking face out."""
    context.obj = {"debug": debug}
    if config is not None:
        context.default_map = _settings(config)


cli.add_command(render)
cli.add_command(prepare)
cli.add_command(doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code. Never raises for what a user can cause."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # `--debug` belongs to the whole program, so it is welcome after the command's name too.
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    if debug:
        arguments.insert(0, "--debug")
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = cli.main(arguments, "lipstream", standalone_mode=False)
        return int(status) if isinstance(status, int) else 0
    except click.ClickException as error:
        return _fail(_usage_sentence(error), MISUSED, debug)
    except OptionError as error:
        return _fail(str(error), MISUSED, debug)
    except LipstreamError as error:
        return _fail(str(error), FAILED, debug)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted; nothing was written.", FAILED, debug)
    except BrokenPipeError:
        return FAILED  # whoever read our output is gone: nobody is left to tell
    except Exception as error:
        return _fail(
            f"this is a bug in lipstream ({type(error).__name__}: {error}); "
            "run again with --debug and report what it prints.",
            FAILED,
            debug,
        )
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(sentence: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    click.echo(f"lipstream: {' '.join(sentence.split())}", err=True)
    return status


def _usage_sentence(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "lipstream"
    return f"{message[:1].lower()}{message[1:]}; see `{command} --help`."


def _settings(path: Path) -> dict[str, Any]:
    """The file as click's default map: {command: {option: value}}."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        with path.open("rb") as file:
            tables: dict[str, Any] = tomllib.load(file)
    except OSError as error:
        raise OptionError(f"--config {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"--config {path} is no valid TOML: {error}.") from error
    settings = {}
    for name, table in tables.items():
        command = cli.commands.get(name)
        if command is None or not isinstance(table, dict):
            known = ", ".join(f"[{known}]" for known in cli.commands)
            raise OptionError(f"--config {path}: {name} is not a table of a command; use {known}.")
        options = {(parameter.name or "").replace("_", "-") for parameter in command.params}
        for key in table:
            if key.replace("_", "-") not in options:
                raise OptionError(f"--config {path}: [{name}] has no option {key!r}.")
        settings[name] = {key.replace("-", "_"): value for key, value in table.items()}
    return settings
