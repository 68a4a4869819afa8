"""`lipstream models`: the weights that users download."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from lipstream.cli.options import option
from lipstream.cli.progress import progress_bars
from lipstream.config import Progress
from lipstream.errors import LipstreamError, OptionError
from lipstream.weights import BUNDLES, Bundle, Source, State, find_bundle, models_folder, survey
from lipstream.weights import pull as pull_files
from lipstream.weights import verify as verify_files

Command = TypeVar("Command", bound=Callable[..., Any])

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
MEBIBYTE = 1 << 20


def models_option(command: Command) -> Command:
    """--models"""
    return option(
        "--models",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The folder of weights. Default: ./models if it exists, else one in your data folder.",
    )(command)


@click.group(invoke_without_command=True, subcommand_metavar="COMMAND [ARGS]...")
@models_option
@click.pass_context
def models(context: click.Context, models: Path | None) -> None:
    """List, pull and verify the weights of networks."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)


@models.command("list")
@models_option
@click.pass_context
def list_command(context: click.Context, models: Path | None) -> None:
    """Say what can be pulled, from where, under which licence, and what is there."""
    folder = _folder(context, models)
    for bundle in BUNDLES.values():
        click.echo(f"{bundle.name}: {bundle.what}; {click.format_filename(folder)}")
        found = survey(bundle, folder)
        for part in bundle.parts.values():
            mine = [finding for finding in found if finding.file.part == part.name]
            states = [finding.state for finding in mine]
            state = State.MISSING if State.MISSING in states else states[-1]
            record = mine[-1].record
            size = f", {sum(f.record.size for f in mine if f.record) / 1e6:.0f} MB"
            click.echo(
                f"  {part.name:<11}{state.value:<13}{part.what}{' (optional)' * part.optional}; "
                f"{record.repository if record else mine[0].file.source.repository}, "
                f"licence: {part.licence}{size if record else ''}"
            )


@models.command("pull", epilog="Example: lipstream models pull musetalk --without v1")
@click.argument("name")
@models_option
@option(
    "--with",
    "extra",
    multiple=True,
    metavar="PART",
    help="Pull an optional part too: dwpose or face-parse. Repeatable.",
)
@option(
    "--without", "less", multiple=True, metavar="PART", help="Leave a part out: v1. Repeatable."
)
@option(
    "--repo",
    "repositories",
    multiple=True,
    metavar="PART=OWNER/NAME",
    help="Take a part from another repository of the hub. Repeatable.",
)
@option(
    "--revision",
    "revisions",
    multiple=True,
    metavar="PART=REVISION",
    help="Take a part at this commit, tag or branch. Repeatable.",
)
@option("--renew", is_flag=True, help="Take what the hub has now, and record that anew.")
@click.pass_context
def pull_command(
    context: click.Context,
    name: str,
    models: Path | None,
    extra: Sequence[str],
    less: Sequence[str],
    repositories: Sequence[str],
    revisions: Sequence[str],
    renew: bool,
) -> None:
    """Download the weights called NAME, or complete and check what is there."""
    bundle, folder = find_bundle(name), _folder(context, models)
    parts = _chosen(bundle, extra, less)
    sources = _sources(bundle, repositories, revisions)
    for part in parts:
        if note := bundle.parts[part].note:
            click.echo(f"note: {note}", err=True)
    results = []  # told when the bars are gone, which would catch them on their way to a file
    try:
        with progress_bars() as new_bar:
            for done in pull_files(
                bundle, folder, parts, sources=sources, renew=renew, new_bar=_mebibytes(new_bar)
            ):
                origin = f"{done.record.repository} at {done.record.revision[:12]}"
                said = f"pulled from {origin}" if done.new else f"is there, from {origin}"
                results.append(f"{click.format_filename(done.path)}: {said}")
    except KeyboardInterrupt as error:
        if sys.stderr.isatty():
            click.echo(err=True)  # after the terminal's own ^C
        raise LipstreamError(
            f"interrupted; run 'lipstream models pull {bundle.name}' again to go on from there."
        ) from error
    finally:
        for line in results:
            click.echo(line)


@models.command("verify")
@click.argument("name", required=False)
@models_option
@click.pass_context
def verify_command(context: click.Context, name: str | None, models: Path | None) -> None:
    """Check that the weights are those that were pulled, and that they load."""
    folder = _folder(context, models)
    for bundle in [find_bundle(name)] if name else BUNDLES.values():
        results = []
        with progress_bars() as new_bar:
            for found in verify_files(bundle, folder, _mebibytes(new_bar)):
                said = "as it was pulled" if found.record else "there; no hash on record"
                results.append(f"{click.format_filename(found.path)}: {said}")
        for line in results:
            click.echo(line)
        click.echo(_load(bundle, folder))


def _load(bundle: Bundle, folder: Path) -> str:
    """Whether the networks take the weights: names and shapes of every tensor."""
    from lipstream.rendering.musetalk.weights.layout import TINY, find_layouts

    layouts = find_layouts(folder)
    try:
        from lipstream.rendering.musetalk.weights.loader import (
            check_checkpoint,
            load_parser,
            load_tiny,
        )
    except ImportError as error:
        if (error.name or "").split(".")[0] == "lipstream":
            raise
        return (
            f"{bundle.name}: the files are complete; install 'lipstream[musetalk]' to check that "
            "they load"
        )
    for layout in layouts:
        check_checkpoint(layout)
    load_parser(folder)
    if (folder / TINY).exists():
        load_tiny(folder)
    return f"{bundle.name}: the networks take the weights"


def _folder(context: click.Context, given: Path | None) -> Path:
    """The folder given to the command, or to the group before it."""
    above = context.parent.params.get("models") if context.parent else None
    return models_folder(given or above)


def _chosen(bundle: Bundle, extra: Sequence[str], less: Sequence[str]) -> list[str]:
    for flag, names in (("--with", extra), ("--without", less)):
        for name in names:
            _known(bundle, flag, name)
    return [
        part.name
        for part in bundle.parts.values()
        if (not part.optional or part.name in extra) and part.name not in less
    ]


def _sources(
    bundle: Bundle, repositories: Sequence[str], revisions: Sequence[str]
) -> dict[str, Source]:
    """The sources that were named, by part. Either half alone keeps the catalogue's other half."""
    named = dict(_pair(bundle, "--repo", text) for text in repositories)
    dated = dict(_pair(bundle, "--revision", text) for text in revisions)
    for repository in named.values():
        if not REPOSITORY.fullmatch(repository):
            raise OptionError(f"--repo: {repository!r} is no repository; write OWNER/NAME.")
    sources = {}
    for part in {**named, **dated}:
        usual = bundle.files_of(part)[0].source
        repository = named.get(part, usual.repository)
        sources[part] = Source(repository, dated.get(part, usual.revision))
    return sources


def _pair(bundle: Bundle, flag: str, text: str) -> tuple[str, str]:
    part, separator, value = text.partition("=")
    if not separator or not value:
        raise OptionError(f"{flag}: {text!r} names no part; write PART=VALUE, such as vae=...")
    return _known(bundle, flag, part), value


def _known(bundle: Bundle, flag: str, part: str) -> str:
    if part not in bundle.parts:
        raise OptionError(
            f"{flag}: {bundle.name} has no part {part!r}; use {', '.join(bundle.parts)}."
        )
    return part


def _mebibytes(new_bar: Callable[[str], Progress]) -> Callable[[str], Progress]:
    """Bars count in MiB, as a bar of bytes cannot be read; small files have none."""

    def scaled(label: str) -> Progress:
        show = new_bar(f"{label} (MiB)")

        def tell(done: int, total: int | None) -> None:
            if total is None or total >= MEBIBYTE:
                show(done // MEBIBYTE, None if total is None else total // MEBIBYTE)

        return tell

    return scaled
