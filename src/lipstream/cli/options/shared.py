"""Options that several commands share."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from typing import Any, Literal

import click

from lipstream.cli.options.option import Command, option, path_option, with_options
from lipstream.config import (
    CLIP_MODES,
    MOTION_LEVELS,
    PCM_ENCODINGS,
    AvatarConfig,
    MotionConfig,
    PcmFormat,
    face_choice,
    rotation,
)
from lipstream.errors import OptionError
from lipstream.timeline import MAX_DENOMINATOR, MAX_FPS, MIN_FPS, exact_rate

BACKENDS = ("auto", "puppet", "musetalk")
RATE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?(/[0-9]{1,9})?")
MAX_MILLIONS = 178  # of pixels; Pillow opens no larger picture
MOTION = MotionConfig()


def _backend(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value not in BACKENDS:
        raise click.BadParameter(f"there is no backend {value!r}; use auto, puppet or musetalk")
    return value


def _frame_rate(context: click.Context, parameter: click.Parameter, value: str) -> Fraction:
    """An exact rate. Fraction alone would take 1e999999999 and never come back."""
    value = value.strip()
    try:
        rate = Fraction(value if RATE.fullmatch(value) else "none")
    except (ValueError, ZeroDivisionError):
        wrong = f"{value!r} is no frame rate; write 25, 29.97 or 30000/1001"
        raise click.BadParameter(wrong) from None
    if not MIN_FPS <= rate <= MAX_FPS:
        wrong = f"{value} frames per second are not possible; write {MIN_FPS} to {MAX_FPS}"
        raise click.BadParameter(wrong)
    if rate.denominator > MAX_DENOMINATOR:
        wrong = f"{value!r} has too many digits; write fewer, or a fraction such as 30000/1001"
        raise click.BadParameter(wrong)
    return exact_rate(rate)


def _clip_rate(context: click.Context, parameter: click.Parameter, value: str) -> Fraction | None:
    """An exact rate; None for that of the clip."""
    return None if value.strip() == "source" else _frame_rate(context, parameter, value)


def _colour(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int, int]:
    digits = value.strip().removeprefix("#")
    if not re.fullmatch("[0-9a-fA-F]{6}", digits):
        wrong = f"{value!r} is no colour; write #RRGGBB, such as #00B140, in quotes"
        raise click.BadParameter(wrong)
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _face(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> int | tuple[float, float] | None:
    try:
        return None if value is None else face_choice(value)
    except OptionError as error:
        raise click.BadParameter(str(error).removesuffix(".")) from error


def _rotation(
    context: click.Context, parameter: click.Parameter, value: str
) -> int | Literal["auto"]:
    try:
        return rotation(value)
    except OptionError as error:
        raise click.BadParameter(str(error).removesuffix(".")) from error


backend_option = option(
    "--backend",
    default="auto",
    metavar="|".join(BACKENDS),
    callback=_backend,
    help="What draws the face. auto takes the best this machine can run and says which.",
)
fps_option = option(
    "--fps",
    default="25",
    metavar="FPS",
    callback=_clip_rate,
    help="Frames per second: 25, 29.97, 30000/1001, or source for those of the clip.",
)
clip_option = option(
    "--clip",
    type=click.Choice(CLIP_MODES),
    default="ping-pong",
    help="The order of a clip's pictures: there and back, over and over, or once: all of them, "
    "then the last one for the rest of the speech.",
)
background_option = option(
    "--background",
    default="#FFFFFF",
    metavar="#RRGGBB",
    callback=_colour,
    help="Colour behind a transparent picture or clip.",
)
FACE_OPTIONS = (
    option(
        "--face",
        metavar="N|X,Y",
        callback=_face,
        help="Which of several faces talks: 1 is the largest, 2 the next; or a place on it, in "
        "pixels of the picture or of the clip's first frame. Default: the largest.",
    ),
    option(
        "--rotate",
        default="none",
        metavar="auto|none|90|180|270",
        callback=_rotation,
        help="Turn the picture clockwise; auto sets the face upright.",
    ),
)
max_pixels_option = option(
    "--max-pixels",
    type=click.IntRange(1, MAX_MILLIONS),
    default=AvatarConfig().max_pixels // 1_000_000,
    metavar="MILLIONS",
    callback=lambda context, parameter, millions: 1_000_000 * int(millions),
    help="Larger pictures, and clips of larger ones, are refused before they are decoded.",
)
models_option = path_option(
    "--models",
    metavar="DIR",
    help="The folder of weights. Default: ./models if it exists, else one in your data folder.",
)
MOTION_OPTIONS = (
    option(
        "--motion",
        "level",
        type=click.Choice(MOTION_LEVELS),
        default=MOTION.level,
        help="A still face between its words: still moves mouth and eyes alone, calm sways half as "
        "far and slower.",
    ),
    option("--blink/--no-blink", default=MOTION.blink, help="Let a still face blink."),
    option("--sway/--no-sway", default=MOTION.sway, help="Let a still head sway a little."),
    option(
        "--seed",
        type=int,
        default=MOTION.seed,
        help="Any number; another one blinks and sways at other moments.",
    ),
)
PCM_OPTIONS = (
    option(
        "--audio-format",
        type=click.Choice(PCM_ENCODINGS),
        metavar="FORMAT",
        help="For raw samples, which have no header: s16le, f32le, u8, mulaw, alaw and others.",
    ),
    option("--sample-rate", type=click.IntRange(1), metavar="HZ", help="Of raw samples."),
    option("--channels", type=click.IntRange(1), help="Of raw samples; default 1."),
)


def face_options(command: Command) -> Command:
    """--face and --rotate: which face of the source talks, and what is up."""
    return with_options(command, FACE_OPTIONS)


def motion_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The idle motion of a still portrait; the command gets one `motion: MotionConfig`."""

    @functools.wraps(command)
    def collected(*positional: Any, **values: Any) -> Any:
        chosen = {field.name: values.pop(field.name) for field in fields(MotionConfig)}
        return command(*positional, motion=MotionConfig(**chosen), **values)

    return with_options(collected, MOTION_OPTIONS)


def pcm_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of raw sound; the command gets one `pcm: PcmFormat | None`."""

    @functools.wraps(command)
    def collected(
        *positional: Any,
        audio_format: str | None,
        sample_rate: int | None,
        channels: int | None,
        **values: Any,
    ) -> Any:
        pcm = None
        if audio_format is not None and sample_rate is not None:
            pcm = PcmFormat(audio_format, sample_rate, channels or 1)
        elif audio_format is not None:
            raise OptionError("--audio-format is raw sound and needs --sample-rate, such as 16000.")
        elif sample_rate is not None or channels is not None:
            raise OptionError(
                "--sample-rate and --channels are for raw sound, which needs --audio-format, such "
                "as s16le; leave them out for other files."
            )
        return command(*positional, pcm=pcm, **values)

    return with_options(collected, PCM_OPTIONS)
