"""The options of the musetalk backend."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click

from lipstream.cli.options.option import option, path_option, with_options
from lipstream.config import (
    MAX_CONTEXT_S,
    MAX_LOOK_AHEAD_MS,
    PRECISIONS,
    PROFILES,
    VERSIONS,
    MuseTalkConfig,
)

MUSETALK = MuseTalkConfig()
MUSETALK_OPTIONS = (  # named like the fields of MuseTalkConfig
    path_option(
        "--models",
        metavar="DIR",
        help="musetalk: folder of weights, as `lipstream models pull` lays it out.",
    ),
    option(
        "--model-version",
        "version",
        type=click.Choice(VERSIONS),
        help="musetalk: default v15 where its weights exist.",
    ),
    option("--device", help="musetalk: cuda, cuda:1 or cpu; default a GPU where there is one."),
    option(
        "--profile",
        type=click.Choice(PROFILES),
        default=MUSETALK.profile,
        help="musetalk: turbo paints faster with a small decoder, and not quite the same.",
    ),
    option(
        "--precision",
        type=click.Choice(PRECISIONS),
        help="musetalk: default float16 on a GPU, float32 elsewhere.",
    ),
    option(
        "--face-size",
        type=click.Choice(["256", "512"]),
        default=str(MUSETALK.face_size),
        help="musetalk: pixels of the face that the network paints.",
    ),
    option(
        "--bbox-shift",
        type=int,
        default=MUSETALK.bbox_shift,
        help="musetalk v1: pixels by which the face's box moves down; opens the mouth more.",
    ),
)
LIVE_OPTIONS = (  # the same, of live speech
    option(
        "--context-s",
        type=click.IntRange(1, MAX_CONTEXT_S),
        metavar="SECONDS",
        help="musetalk: past speech heard with each frame; default 5 on a CPU, 30 on a GPU.",
    ),
    option(
        "--look-ahead-ms",
        type=click.IntRange(0, MAX_LOOK_AHEAD_MS),
        default=MUSETALK.look_ahead_ms,
        metavar="MS",
        help="musetalk: speech to wait for beyond what a frame needs. 80 brings mouths nearer to "
        "those of files, and every picture and sound so much later.",
    ),
)


def musetalk_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of the musetalk backend; the command gets one `musetalk: MuseTalkConfig`."""

    @functools.wraps(command)
    def collected(*positional: Any, **values: Any) -> Any:
        given = [field.name for field in fields(MuseTalkConfig) if field.name in values]
        chosen = {name: values.pop(name) for name in given}
        musetalk = MuseTalkConfig(**chosen | {"face_size": int(chosen["face_size"])})
        return command(*positional, musetalk=musetalk, **values)

    return with_options(collected, MUSETALK_OPTIONS)


def live_musetalk_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`musetalk_options` with those of live speech."""
    return with_options(musetalk_options(command), LIVE_OPTIONS)
