"""A synthesizer that spells: what was said, in which order and with which gaps, is read back from
the sound that comes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lipstream.errors import OptionError
from lipstream.media.captions import Caption
from lipstream.speech.synthesis.base import SynthesizedSpeech
from lipstream.timeline import SOUND_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.live.session.types import Unit

CHARACTER = 960  # samples of each, 20 ms
LEVEL = 100  # a character's samples are its code point times this


class SpellingSynthesizer:
    """Says each character as `CHARACTER` samples of its code, word by word, with a caption each.

    It hangs before word `hangs_at` of a text, or raises `errors[text]` there; it never speaks a
    word that is not taken.
    """

    sample_rate = SOUND_RATE
    voices = ("anna", "ben")

    def __init__(
        self, hangs_at: int | None = None, errors: dict[str, Exception] | None = None
    ) -> None:
        self.hangs_at, self.errors = hangs_at, errors or {}
        self.asked: list[tuple[str, str | None]] = []
        self.cancelled: list[str] = []  # texts whose synthesis was ended from outside
        self.closed = 0

    def check(self, text: str, voice: str | None) -> None:
        """Everything can be said but what is empty, by the two voices."""
        if not text.strip():
            raise OptionError("the text is empty; write what is to be said.")
        if voice not in (None, *self.voices):
            raise OptionError(f"there is no voice {voice!r}; choose anna or ben.")

    def warning(self, text: str) -> str | None:
        """It spells letters; a star is none."""
        return "the stars are left out." if "*" in text else None

    async def synthesize(
        self, text: str, voice: str | None = None
    ) -> AsyncGenerator[SynthesizedSpeech, None]:
        self.asked.append((text, voice))
        start = 0
        try:
            for number, word in enumerate(text.split(" ")):
                if number == (self.hangs_at or 0) and text in self.errors:
                    raise self.errors[text]
                if number == self.hangs_at:
                    await asyncio.Event().wait()
                samples = spelled(f" {word}" if number else word)
                at = start + (CHARACTER if number else 0)
                start += len(samples)
                yield SynthesizedSpeech(samples, (Caption(word, at, start, number == 0),))
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled.append(text)
            raise

    async def close(self) -> None:
        self.closed += 1


def spelled(text: str) -> NDArray[np.int16]:
    """The sound of `text`."""
    codes = np.array([ord(character) for character in text], np.int16)
    return np.repeat(codes * LEVEL, CHARACTER).astype(np.int16)


def heard(units: Sequence[Unit]) -> str:
    """The text that was spoken in these units; what fades out after an interrupt does not count."""
    sound = [unit.samples[CHARACTER // 2 :: CHARACTER] for unit in units if unit.speaking]
    codes = np.concatenate([np.zeros(0, np.int16), *sound]) // LEVEL
    return "".join(chr(code) for code in codes if code)
