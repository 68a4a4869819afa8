"""The contract of a speech synthesizer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lipstream.errors import OptionError
from lipstream.media.captions import Caption

MAX_TEXT = 5000  # characters of one request
MAX_SPEECH_S = 1200  # that so many characters can take; more sound is not theirs


@dataclass(frozen=True)
class SynthesizedSpeech:
    """The next samples of an utterance, (n,) int16 mono, and the captions that begin in them."""

    samples: npt.NDArray[np.int16]
    captions: tuple[Caption, ...] = ()


class Synthesizer(Protocol):
    """Turns text into speech. One serves every session; its calls may overlap."""

    @property
    def sample_rate(self) -> int:
        """Of all that it says, Hz."""

    @property
    def voices(self) -> tuple[str, ...]:
        """The voices that are known by name, the default one first; it may have others."""

    def check(self, text: str, voice: str | None) -> None:
        """Raise OptionError, with a sentence, for what it can't say: text that is empty or longer
        than `MAX_TEXT`, or a voice that it does not have."""

    def warning(self, text: str) -> str | None:
        """A sentence about words of `text` that will not be heard; None where there are none."""

    def synthesize(
        self, text: str, voice: str | None = None
    ) -> AsyncGenerator[SynthesizedSpeech, None]:
        """Say `text`, sentence by sentence, so that the first words come early.

        Closing the generator, or cancelling who waits for it, cancels what is being synthesized
        at once. SynthesisError when the provider fails, stalls or answers with something else.
        """

    async def close(self) -> None:
        """Give back connections and threads. May be called twice."""


def check_text(text: str) -> None:
    """OptionError for text that nobody can say: empty, too long, or not Unicode."""
    if not text.strip():
        raise OptionError("the text is empty; write what is to be said.")
    if len(text) > MAX_TEXT:
        raise OptionError(
            f"the text has {len(text)} characters, and at most {MAX_TEXT} are said at once; cut it."
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise OptionError(
            "the text holds half a character (a lone surrogate); send it again."
        ) from None
