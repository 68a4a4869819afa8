"""`lipstream render`: files in, a file out."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Literal

import click

from lipstream.cli.options.musetalk import musetalk_options
from lipstream.cli.options.option import path_option
from lipstream.cli.options.shared import (
    backend_option,
    background_option,
    clip_option,
    face_options,
    fps_option,
    max_pixels_option,
    motion_options,
    pcm_options,
)
from lipstream.cli.options.text import SpokenOptions, text_options
from lipstream.cli.progress import progress_bars
from lipstream.cli.standard_input import local_file
from lipstream.config import AvatarConfig, ClipMode, MotionConfig, MuseTalkConfig, PcmFormat

EPILOG = "Example: lipstream render --avatar face.png --audio speech.wav -o talk.mp4"


@click.command(epilog=EPILOG)
@path_option(
    "--avatar",
    required=True,
    help="A portrait (png, jpg, heic, ...), a clip of a person, or an .avatar file.",
)
@path_option("--audio", help="Speech: any audio file, or a video with sound; - for a pipe.")
@text_options
@pcm_options
@path_option(
    "--out", "-o", required=True, help="The mp4 to write; it appears only when it is complete."
)
@backend_option
@musetalk_options
@fps_option
@clip_option
@background_option
@face_options
@max_pixels_option
@motion_options
def render(
    avatar: Path,
    audio: Path | None,
    spoken: SpokenOptions,
    pcm: PcmFormat | None,
    out: Path,
    backend: str,
    musetalk: MuseTalkConfig,
    fps: Fraction | None,
    clip: ClipMode,
    background: tuple[int, int, int],
    face: int | tuple[float, float] | None,
    rotate: int | Literal["auto"],
    max_pixels: int,
    motion: MotionConfig,
) -> None:
    """Write a video in which AVATAR speaks AUDIO, or says TEXT."""
    from lipstream import offline
    from lipstream.clip_player import source_rate
    from lipstream.engine import open_engine
    from lipstream.media.output_path import checked_target

    checked_target(out)  # before a pipe is read, which may take as long as somebody speaks
    rate = source_rate(avatar) if fps is None else fps
    with (
        contextlib.nullcontext() if audio is None else local_file(audio) as sound,
        open_engine(backend, fps=rate, motion=motion, musetalk=musetalk) as engine,
        progress_bars() as new_bar,
    ):
        chosen = engine.backend
        done = offline.render(
            avatar,
            sound,
            out,
            text=spoken.text,
            voice=spoken.voice,
            tts=spoken.tts,
            tts_model=spoken.tts_model,
            captions=spoken.captions,
            engine=engine,
            pcm=pcm,
            clip=clip,
            avatar_config=AvatarConfig(
                background=background, face=face, rotate=rotate, max_pixels=max_pixels
            ),
            on_avatar=new_bar("preparing"),
            on_frame=new_bar(f"rendering ({chosen.name})"),
        )
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"backend: {chosen.name} ({chosen.reason})", err=True)
    name, seconds = click.format_filename(done.path), done.samples / done.sample_rate
    click.echo(f"{name}: {done.frames} frames, {seconds:.2f} s")
