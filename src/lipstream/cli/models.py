"""`lipstream models`: the weights that users download."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from lipstream.cli.options.option import option
from lipstream.cli.options.shared import (
    models_option,
)
from lipstream.cli.progress import progress_bars
from lipstream.config import Progress
from lipstream.errors import LipstreamError, MissingError, OptionError
from lipstream.installation import install_command
from lipstream.weights.catalogue import BUNDLES, Bundle, Source, find_bundle
from lipstream.weights.manifest import FileState, list_files, models_folder, verify
from lipstream.weights.placement import check_places, describe_placed
from lipstream.weights.transfer import pull

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
MEBIBYTE = 1 << 20


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
    """List the weights: state, source, licence and size of each part."""
    folder = _folder(context, models)
    for bundle in BUNDLES.values():
        click.echo(f"{bundle.name}: {bundle.description}; {click.format_filename(folder)}")
        found = list_files(bundle, folder)
        for part in bundle.parts.values():
            files = [status for status in found if status.file.part == part.name]
            states = [status.state for status in files]
            state = FileState.MISSING if FileState.MISSING in states else states[-1]
            record = files[-1].record
            repository = record.repository if record else part.source.repository
            size = sum(status.size or 0 for status in files)
            click.echo(
                f"  {part.name:<11}{state.value:<13}{part.description}"
                f"{' (optional)' * part.optional}; {repository}, licence: {part.licence}"
                + (f", {size / 1e6:.0f} MB" if size else "")
            )


@models.command("pull", epilog="Example: lipstream models pull musetalk --without v1")
@click.argument("name")
@models_option
@option(
    "--with",
    "extra",
    multiple=True,
    metavar="PART",
    help="Pull an optional part too: dwpose, face-parse or taesd. Repeatable.",
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
@option(
    "--renew", is_flag=True, help="Forget what was recorded, and record anew what the hub gives."
)
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
    """Download the weights called NAME, or complete and check the existing ones."""
    bundle, folder = find_bundle(name), _folder(context, models)
    parts = _chosen(bundle, extra, less)
    sources = _sources(bundle, repositories, revisions)
    for part in parts:
        if note := bundle.parts[part].note:
            click.echo(f"note: {note}", err=True)
    results = []  # printed when the bars have ended, which would catch them on their way to a file
    try:
        with progress_bars() as new_bar:
            for done in pull(
                bundle, folder, parts, sources=sources, renew=renew, new_bar=_mebibytes(new_bar)
            ):
                origin = f"{done.record.repository} at {done.record.revision[:12]}"
                outcome = f"pulled from {origin}" if done.new else f"complete, from {origin}"
                results.append(f"{click.format_filename(done.path)}: {outcome}")
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
        with progress_bars() as new_bar:
            bars = _mebibytes(new_bar)
            found = [(file.path, "as it was pulled") for file in verify(bundle, folder, bars)]
            found += describe_placed(bundle, folder, bars)
        for path, outcome in found:
            click.echo(f"{click.format_filename(path)}: {outcome}")
        check_places(bundle, folder)
        click.echo(_load(bundle, folder))


def _load(bundle: Bundle, folder: Path) -> str:
    """Load the weights into the networks: names and shapes of every tensor; returns a sentence."""
    from lipstream.rendering.musetalk.weights.layout import (
        find_landmarks,
        find_layouts,
        unread_landmarks,
    )

    if remark := unread_landmarks(folder):
        click.echo(f"note: {remark}", err=True)
    elif landmarks := find_landmarks(folder):
        _load_landmarks(landmarks)
    find_layouts(folder)  # for its errors, which need no packages
    try:
        from lipstream.rendering.musetalk.weights.loader import check_models
    except ImportError as error:
        if (error.name or "").split(".")[0] == "lipstream":
            raise
        return (
            f"{bundle.name}: the files are complete; to check that they load run "
            f"`{install_command('musetalk')}`"
        )
    check_models(folder)
    return f"{bundle.name}: the networks take the weights"


def _load_landmarks(path: Path) -> None:
    """Load the optional landmark network, where the package that runs it is installed."""
    from lipstream.rendering.musetalk.models.dwpose import DwPose

    try:
        DwPose.from_file(path)
    except MissingError as error:
        click.echo(f"note: {error}", err=True)


def _folder(context: click.Context, given: Path | None) -> Path:
    """The folder given to the command, or to the group before it."""
    above = context.parent.params.get("models") if context.parent else None
    return models_folder(given or above)


def _chosen(bundle: Bundle, extra: Sequence[str], less: Sequence[str]) -> list[str]:
    for name in extra:
        _check_part(bundle, "--with", name)
    for name in less:
        _check_part(bundle, "--without", name)
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
    usual = {part: bundle.parts[part].source for part in {**named, **dated}}
    return {
        part: Source(named.get(part, source.repository), dated.get(part, source.revision))
        for part, source in usual.items()
    }


def _pair(bundle: Bundle, flag: str, text: str) -> tuple[str, str]:
    part, separator, value = text.partition("=")
    if not separator or not value:
        raise OptionError(f"{flag}: {text!r} names no part; write PART=VALUE, such as vae=...")
    _check_part(bundle, flag, part)
    return part, value


def _check_part(bundle: Bundle, flag: str, part: str) -> None:
    if part not in bundle.parts:
        raise OptionError(
            f"{flag}: {bundle.name} has no part {part!r}; use {', '.join(bundle.parts)}."
        )


def _mebibytes(new_bar: Callable[[str], Progress]) -> Callable[[str], Progress]:
    """Bars that count in MiB, as a bar of bytes cannot be read; small files have none."""

    def scaled(label: str) -> Progress:
        show = new_bar(f"{label} (MiB)")

        def report(done: int, total: int | None) -> None:
            if total is None or total >= MEBIBYTE:
                show(done // MEBIBYTE, None if total is None else total // MEBIBYTE)

        return report

    return scaled
