"""`lipstream demo`: the bundled face says the bundled sentence, then a page to talk through."""

from __future__ import annotations

from pathlib import Path

import click

import lipstream
from lipstream.cli.options.option import option, path_option
from lipstream.cli.progress import progress_bars
from lipstream.cli.serve import serve

PACKAGE = Path(lipstream.__file__).parent
FACE = PACKAGE / "samples" / "face.jpg"  # examples/portrait_closed.png, an eighth of its size
SPEECH = PACKAGE / "server" / "page" / "sample.ogg"
NAME = "Eileen"

EPILOG = "Example: lipstream demo --port 8081; other options are those of serve."


@click.command(epilog=EPILOG, context_settings={"ignore_unknown_options": True})
@path_option("--out", "-o", default=Path("lipstream-demo.mp4"), help="The mp4 to write.")
@option("--render-only", is_flag=True, help="End after the video.")
@click.argument("serve_options", nargs=-1, type=click.UNPROCESSED, metavar="[serve_options]...")
@click.pass_context
def demo(
    context: click.Context, out: Path, render_only: bool, serve_options: tuple[str, ...]
) -> None:
    """Make the bundled face speak, then serve a page to talk through. Needs no other file."""
    root = context.find_root()
    arguments = ["--avatar", f"{NAME}={FACE}", *serve_options]
    serving = serve.make_context(  # first, as an option may be wrong
        "lipstream serve",
        list(arguments),
        help_option_names=context.help_option_names,
        default_map=(root.default_map or {}).get("serve"),
        obj={**root.obj, "arguments": ["serve", *arguments]},  # which `--workers` hands on
    )
    click.echo("Making the bundled face say the bundled sentence.")
    with progress_bars() as new_bar:
        result = lipstream.render(FACE, SPEECH, out, on_frame=new_bar("rendering"))
    click.echo(f"Open {result.path.resolve()}")
    if not render_only:
        click.echo("Starting the page: it is ready when its address is shown.")
        with serving:
            serve.invoke(serving)
