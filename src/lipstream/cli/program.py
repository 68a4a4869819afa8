"""The command line as a whole: settings, exit codes, one sentence for every failure.

Exit codes: 0 done, 1 the work failed, 2 the call was wrong. A flag wins over its `LIPSTREAM_...`
environment variable, which wins over the file given by `--config`.
"""

from __future__ import annotations

import errno
import io
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import click

from lipstream import __version__
from lipstream.cli.options.option import option, path_option
from lipstream.cli.options.settings import read_settings
from lipstream.cli.options.usage import usage_sentence
from lipstream.errors import LipstreamError, OptionError

FAILED, WRONG_CALL = 1, 2
INTERRUPTED = "interrupted."
END_SIGNALS = ("SIGTERM", "SIGHUP")  # end the work as Ctrl-C does, where the system has them


class CommandModules(Mapping[str, click.Command]):
    """The commands by name: `render` is that of `lipstream.cli.render`, imported when asked for.

    A program that imports all of them starts 40 ms later.
    """

    NAMES = (
        *("render", "prepare", "score", "serve", "stream", "front"),
        *("demo", "models", "doctor", "bench"),
    )

    def __getitem__(self, name: str) -> click.Command:
        if name not in self.NAMES:
            raise KeyError(name)
        command: click.Command = getattr(import_module(f"lipstream.cli.{name}"), name)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES)

    def __len__(self) -> int:
        return len(self.NAMES)


class Program(click.Group):
    """The group of all commands."""

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:
        with _interrupt_as_error():
            return super().make_context(*arguments, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _interrupt_as_error():
                return super().invoke(ctx)
        except click.UsageError as error:
            command = self.commands.get(ctx.invoked_subcommand or "")
            if error.ctx is None and command is not None:
                # click forgot which command it was parsing
                error.ctx = click.Context(command, ctx, info_name=command.name)
            raise


@contextmanager
def _interrupt_as_error() -> Iterator[None]:
    """Turn an interrupt into an error; click would write an empty line to a pipe too."""
    try:
        yield
    except KeyboardInterrupt as error:
        if sys.stderr is not None and sys.stderr.isatty():
            click.echo(err=True)  # after the terminal's own ^C
        raise LipstreamError(INTERRUPTED) from error


@click.group(
    cls=Program,
    commands=cast(MutableMapping[str, click.Command], CommandModules()),  # none is added
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
)
@path_option(
    "--config",
    help="TOML file with settings: tables named like the commands, keys named like their options.",
)
@option("--debug", is_flag=True, help="Show tracebacks of errors.")
@click.version_option(__version__, prog_name="lipstream")
@click.pass_context
def cli(context: click.Context, config: Path | None, debug: bool) -> None:
    """Speech in, a talking face out."""
    if config is not None:
        context.default_map = read_settings(config, cli.commands)
        debug = debug or context.default_map.get("debug", False)
    context.obj["debug"] = context.obj["debug"] or debug
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(WRONG_CALL)


def run(arguments: Sequence[str] | None = None) -> int:
    """Do the work of `lipstream.cli.main`; a KeyboardInterrupt may come through at the ends."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # `--debug` belongs to the whole program, so it is welcome after the command's name too.
    state: dict[str, Any] = {"debug": "--debug" in arguments}
    arguments = [argument for argument in arguments if argument != "--debug"]
    state["arguments"] = arguments  # which `serve --workers` hands on
    try:
        with _signals_as_interrupts():
            status = cli.main(arguments, "lipstream", standalone_mode=False, obj=state)
        return status if isinstance(status, int) else 0
    except Exception as error:
        if state["debug"]:
            traceback.print_exc()
        status, text = _outcome(error)
        text = " ".join(text.split())
        click.echo(f"lipstream: {text if text.endswith(('.', '?')) else text + '.'}", err=True)
        return status


def _outcome(error: Exception) -> tuple[int, str]:
    if isinstance(error, click.ClickException):
        return WRONG_CALL, usage_sentence(error)
    if isinstance(error, LipstreamError):
        return WRONG_CALL if isinstance(error, OptionError) else FAILED, str(error)
    if isinstance(error, click.Abort):  # between the two blocks above
        return FAILED, INTERRUPTED
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
        # Files have their own sentences: this was standard output. Python would try again on exit.
        sys.stdout = io.StringIO()
        return FAILED, (
            "the disk that standard output goes to is full; free some space or write elsewhere."
        )
    return FAILED, (
        f"this is a bug in lipstream ({type(error).__name__}: {error}); "
        "run again with --debug and report what it prints."
    )


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Let SIGTERM and SIGHUP clean up like Ctrl-C; one that is ignored stays ignored."""
    signals = [getattr(signal, name) for name in END_SIGNALS if hasattr(signal, name)]
    ours = [number for number in signals if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
