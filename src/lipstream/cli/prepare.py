"""`lipstream prepare`: measure a picture or clip once, report its quality, keep the result."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from lipstream.cli.options.musetalk import musetalk_options
from lipstream.cli.options.option import LocalPath, path_option
from lipstream.cli.options.shared import (
    backend_option,
    background_option,
    face_options,
    fps_option,
    max_pixels_option,
)
from lipstream.cli.progress import progress_bars
from lipstream.config import AvatarConfig, MuseTalkConfig

if TYPE_CHECKING:
    from lipstream.avatar.avatar import QualityReport


@click.command()
@click.argument("source", type=LocalPath())
@path_option(
    "--out",
    "-o",
    required=True,
    metavar="NAME.avatar",
    variable="AVATAR_OUT",
    help="The file to write; give it to --avatar later.",
)
@backend_option
@musetalk_options
@fps_option
@background_option
@face_options
@max_pixels_option
def prepare(
    source: Path,
    out: Path,
    backend: str,
    musetalk: MuseTalkConfig,
    fps: Fraction | None,
    background: tuple[int, int, int],
    face: int | tuple[float, float] | None,
    rotate: int | Literal["auto"],
    max_pixels: int,
) -> None:
    """Prepare the picture, clip or .avatar file SOURCE and print a quality report."""
    from lipstream.avatar.builder import open_avatar
    from lipstream.avatar.storage import SUFFIX, is_avatar, save_avatar
    from lipstream.clip_player import source_rate
    from lipstream.media.output_path import check_not_input, checked_target
    from lipstream.rendering.registry import open_backend

    target = checked_target(out, SUFFIX)
    if not is_avatar(source):  # which may be prepared for another backend in its place
        check_not_input(target, source)
    rate = source_rate(source) if fps is None else fps
    chosen = open_backend(backend, fps=rate, musetalk=musetalk)
    with progress_bars() as new_bar:
        config = AvatarConfig(
            background=background, face=face, rotate=rotate, max_pixels=max_pixels
        )
        avatar = open_avatar(source, config, new_bar("measuring"), rate)
        avatar = chosen.renderer.prepare(avatar, new_bar(f"preparing ({chosen.name})"))
        save_avatar(avatar, out)
    for line in _lines(avatar.report):
        click.echo(line)
    click.echo(f"{click.format_filename(out)}: ready for --avatar")


def _lines(report: QualityReport) -> Iterator[str]:
    yield f"picture       {report.width}x{report.height}, {report.frames} frame(s)"
    if report.frames > 1:
        yield (
            f"face          seen in {report.faces_found} frames, "
            f"{report.faces_filled} filled, {report.faces_lost} lost"
        )
        yield f"shots         {report.shots}"
        yield f"jitter        {100 * report.jitter:.2f} % of the eye distance"
    yield f"people        {report.people}"
    yield f"eye distance  {report.eye_distance:.0f} px"
    yield f"face height   {100 * report.face_height:.0f} % of the picture"
    yield f"mouth         {report.mouth_width:.0f} px wide, {100 * report.mouth_open:.0f} % open"
    yield f"turned        {report.roll:+.0f} degrees roll, {report.yaw:+.2f} yaw"
    for warning in report.warnings:
        yield f"warning       {warning}"
