"""The options of `render` that say a text instead of a file with sound."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipstream.cli.options.option import option, path_option, with_options
from lipstream.cli.standard_input import NAME, STANDARD_INPUT
from lipstream.errors import InputError, OptionError, reason_of
from lipstream.media.output_path import check_not_input

MAX_BYTES = 1 << 20  # of a file of text: far more than is ever said

TEXT_OPTIONS = (
    option("--text", metavar="TEXT", help="Say this, of at most 5000 characters."),
    path_option("--text-file", metavar="FILE", help="Say this file (UTF-8); - for a pipe."),
    option("--voice", metavar="NAME", help="Of the provider; the embedded voice has only heart."),
    option(
        "--tts",
        metavar="URL|hibari|off",  # of a variable that `serve` has, too
        help="What speaks text: the embedded English voice, which is the default, or any server "
        "that has OpenAI's /v1/audio/speech (key: LIPSTREAM_TTS_KEY).",
    ),
    option("--tts-model", metavar="NAME", help="The model to ask the server of --tts for."),
    path_option(
        "--captions",
        metavar="FILE",
        help="Write the words of the text and their times, as .vtt or .srt.",
    ),
)


@dataclass(frozen=True, slots=True)
class SpokenOptions:
    """The text that `render` says, if it says one."""

    text: str | None
    voice: str | None
    tts: str | None
    tts_model: str | None
    captions: Path | None


def text_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of text; the command gets one `spoken: SpokenOptions` beside its `audio`.

    OptionError when not exactly one of --audio, --text and --text-file is given.
    """

    @functools.wraps(command)
    def collected(
        *positional: Any,
        audio: Path | None,
        text: str | None,
        text_file: Path | None,
        voice: str | None,
        tts: str | None,
        tts_model: str | None,
        captions: Path | None,
        **values: Any,
    ) -> Any:
        given = {"--audio": audio, "--text": text, "--text-file": text_file}
        named = [name for name, value in given.items() if value is not None]
        if len(named) > 1:
            raise OptionError(f"{' and '.join(named)} exclude each other; leave out one of them.")
        if not named:
            raise OptionError(
                "nothing is said: give --audio FILE, --text TEXT or --text-file FILE."
            )
        if audio is not None and captions is not None:
            raise OptionError("--captions are those of a text; give --text, or leave them out.")
        if text_file is not None:
            if captions is not None:
                check_not_input(captions, text_file)
            text = read_text(text_file)
        spoken = SpokenOptions(text, voice, tts, tts_model, captions)
        return command(*positional, audio=audio, spoken=spoken, **values)

    return with_options(collected, TEXT_OPTIONS)


def read_text(path: Path) -> str:
    """The text of a file, or of standard input for `-`. InputError when there is none in it."""
    name = NAME if path == STANDARD_INPUT else str(path)
    try:
        if path != STANDARD_INPUT:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        elif sys.stdin is None or sys.stdin.isatty():
            raise OptionError(f"--text-file - reads {NAME}, but nothing is piped into it.")
        else:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {reason_of(error)}; check its name.") from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{name} is larger than a megabyte; cut it into parts of 5000 characters.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{name} is no text in UTF-8; save it as such.") from None
