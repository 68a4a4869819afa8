"""`lipstream score`: how well a video's mouth follows its sound."""

from __future__ import annotations

from pathlib import Path

import click

from lipstream.cli.options.option import LocalPath, option, path_option
from lipstream.cli.progress import progress_bars

EPILOG = "Example: lipstream score talk.mp4 --plot talk.png"


@click.command(epilog=EPILOG)
@click.argument("video", type=LocalPath())
@path_option(
    "--audio",
    variable="SCORE_AUDIO",
    help="The speech to judge by, from the first frame on; by default the video's own sound.",
)
@path_option(
    "--reference",
    variable="SCORE_REFERENCE",
    help="The same face, frame by frame, before its mouth was drawn: colour and sharpness.",
)
@path_option(
    "--syncnet",
    variable="SCORE_SYNCNET",
    metavar="FILE",
    help="SyncNet's weights, syncnet_v2.model: adds LSE-C and LSE-D. Needs PyTorch.",
)
@option("--json", "as_json", is_flag=True, variable="SCORE_JSON", help="Print the figures as JSON.")
@path_option(
    "--plot",
    variable="SCORE_PLOT",
    metavar="FILE.png",
    help="Draw the curves of mouth and sound.",
)
def score(
    video: Path,
    audio: Path | None,
    reference: Path | None,
    syncnet: Path | None,
    as_json: bool,
    plot: Path | None,
) -> None:
    """Judge the mouth in VIDEO, of any maker, by its sound."""
    from lipstream.media.output_path import check_not_input, checked_target
    from lipstream.score import report
    from lipstream.score.files import score_video

    if plot is not None:
        sources = [path for path in (video, audio, reference) if path is not None]
        check_not_input(checked_target(plot, ".png"), *sources)
    with progress_bars() as new_bar:
        scored = score_video(video, audio, reference, syncnet, new_bar)
    if plot is not None:
        from lipstream.score.plot import write_plot

        write_plot(scored, plot)
    click.echo(report.as_json(scored.score) if as_json else report.as_table(scored.score))
