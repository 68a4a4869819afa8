"""Options that several commands share."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import click

from lipstream.config import AvatarConfig, MotionConfig, MuseTalkConfig
from lipstream.timeline import MAX_FPS, MIN_FPS

Command = TypeVar("Command", bound=Callable[..., Any])

BACKENDS = ("auto", "puppet", "musetalk")
RATE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?(/[0-9]{1,9})?")
MAX_DENOMINATOR = 1_000_000  # the denominator of a frame rate; video files keep no finer one


def option(
    flag: str, *names: str, variable: str | None = None, **settings: Any
) -> Callable[[Command], Command]:
    """A click option that can also be set by an environment variable.

    It is called `LIPSTREAM_` and the option's name, unless `variable` gives another name.
    """
    name = flag.lstrip("-").split("/")[0].replace("-", "_").upper()
    variable = f"LIPSTREAM_{variable or name}"
    return click.option(flag, *names, envvar=variable, show_envvar=True, **settings)


def backend_option(command: Command) -> Command:
    """--backend"""
    return option(
        "--backend",
        default="auto",
        show_default=True,
        metavar="|".join(BACKENDS),
        callback=_backend,
        help="What draws the face. auto takes the best this machine can run and says which.",
    )(command)


def _backend(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value not in BACKENDS:
        wrong = f"there is no backend {value!r}; use {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}"
        raise click.BadParameter(wrong, context, parameter)
    return value


def muse_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How the musetalk backend runs; the command gets one `musetalk: MuseTalkConfig`."""
    defaults = MuseTalkConfig()

    @functools.wraps(command)
    def collected(
        *positional: Any,
        models: Path | None,
        model_version: str | None,
        device: str | None,
        precision: str | None,
        profile: str,
        face_size: str,
        bbox_shift: int,
        **others: Any,
    ) -> Any:
        musetalk = MuseTalkConfig(
            models=models,
            version=model_version,
            device=device,
            precision=precision,
            profile=profile,
            face_size=int(face_size),
            bbox_shift=bbox_shift,
        )
        return command(*positional, musetalk=musetalk, **others)

    result: Callable[..., Any] = collected
    for decorate in (
        option(
            "--bbox-shift",
            type=int,
            default=defaults.bbox_shift,
            show_default=True,
            help="musetalk v1: pixels by which the face's box moves down; opens the mouth more.",
        ),
        option(
            "--face-size",
            type=click.Choice(["256", "512"]),
            default=str(defaults.face_size),
            show_default=True,
            help="musetalk: pixels of the face that the network paints.",
        ),
        option(
            "--precision",
            type=click.Choice(["float32", "float16", "bfloat16"]),
            help="musetalk: default float16 on a GPU, float32 elsewhere.",
        ),
        option(
            "--profile",
            type=click.Choice(["exact", "turbo"]),
            default=defaults.profile,
            show_default=True,
            help="musetalk: turbo paints faster with a small decoder, and not quite the same.",
        ),
        option("--device", help="musetalk: cuda, cuda:1 or cpu; default a GPU where there is one."),
        option(
            "--model-version",
            type=click.Choice(["v1", "v15"]),
            help="musetalk: default v15 where its weights are there.",
        ),
        option(
            "--models",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="musetalk: folder of weights, as `lipstream models pull` lays it out.",
        ),
    ):
        result = decorate(result)
    return result


def motion_options(command: Command) -> Command:
    """--blink, --sway and --seed: how lively a still portrait is."""
    defaults = MotionConfig()
    for decorate in (
        option(
            "--seed",
            type=int,
            default=defaults.seed,
            show_default=True,
            help="Any number; another one blinks and sways at other moments.",
        ),
        option("--sway/--no-sway", default=defaults.sway, help="Let a still head sway a little."),
        option("--blink/--no-blink", default=defaults.blink, help="Let a still face blink."),
    ):
        command = decorate(command)
    return command


def fps_option(command: Command) -> Command:
    """--fps"""
    return option(
        "--fps",
        default="25",
        show_default=True,
        metavar="FPS",
        callback=_frame_rate,
        help="Frames per second: 25, 29.97 or 30000/1001.",
    )(command)


def _frame_rate(context: click.Context, parameter: click.Parameter, value: str) -> Fraction:
    """An exact rate. Fraction alone would take 1e999999999 and never come back."""
    try:
        rate = Fraction(value if RATE.fullmatch(value) else "none")
    except (ValueError, ZeroDivisionError):
        wrong = f"{value!r} is no frame rate; write 25, 29.97 or 30000/1001"
        raise click.BadParameter(wrong, context, parameter) from None
    if not MIN_FPS <= rate <= MAX_FPS:
        wrong = f"{value} frames per second are not possible; write {MIN_FPS} to {MAX_FPS}"
        raise click.BadParameter(wrong, context, parameter)
    if rate.denominator > MAX_DENOMINATOR:
        wrong = f"{value!r} has too many digits; write fewer, or a fraction such as 30000/1001"
        raise click.BadParameter(wrong, context, parameter)
    return rate


def background_option(command: Command) -> Command:
    """--background"""
    return option(
        "--background",
        default="#FFFFFF",
        show_default=True,
        metavar="#RRGGBB",
        callback=_colour,
        help="Colour behind a transparent picture.",
    )(command)


def _colour(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int, int]:
    digits = value.removeprefix("#")
    if not re.fullmatch("[0-9a-fA-F]{6}", digits):
        wrong = f"{value!r} is no colour; write #RRGGBB, such as #00B140, in quotes"
        raise click.BadParameter(wrong, context, parameter)
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def avatar_config(background: tuple[int, int, int]) -> AvatarConfig:
    """The avatar settings that the command line offers."""
    return AvatarConfig(background=background)
