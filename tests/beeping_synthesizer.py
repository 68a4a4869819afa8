"""A synthesizer that beeps: the beginning of each word can be found in a recording."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import numpy as np

from lipstream.media.captions import Caption
from lipstream.speech.synthesis.base import SynthesizedSpeech, check_text
from lipstream.timeline import SOUND_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

BEEP = SOUND_RATE // 5  # samples of each word
WORD = SOUND_RATE * 3 // 5  # samples from one word to the next: no two look like one
PACE_S = 0.1  # that a word takes to be made: faster than it is spoken, but a text takes its time
PITCH, LEVEL = 1000, 12_000  # Hz; of int16


class BeepingSynthesizer:
    """Says each word as a beep and a pause, with a caption each."""

    sample_rate = SOUND_RATE
    voices = ("beep",)

    def check(self, text: str, voice: str | None) -> None:
        """Everything can be said that anybody can say."""
        check_text(text)

    def warning(self, text: str) -> str | None:
        """It leaves nothing out."""
        return None

    async def synthesize(
        self, text: str, voice: str | None = None
    ) -> AsyncGenerator[SynthesizedSpeech, None]:
        for number, word in enumerate(text.split()):
            start = number * WORD
            caption = Caption(word, start, start + BEEP, opens_line=number == 0)
            yield SynthesizedSpeech(_word(), (caption,))
            await asyncio.sleep(PACE_S)

    async def close(self) -> None:
        """Give nothing back: there is nothing."""


def _word() -> NDArray[np.int16]:
    """A beep and a pause."""
    tone = LEVEL * np.sin(2 * np.pi * PITCH / SOUND_RATE * np.arange(BEEP))
    return np.concatenate([tone, np.zeros(WORD - BEEP)]).astype(np.int16)
