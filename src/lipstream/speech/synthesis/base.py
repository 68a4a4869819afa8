"""The contract of a speech synthesizer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lipstream.media.captions import Caption

MAX_TEXT = 5000  # characters of one request


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

    def check(self, text: str, voice: str | None) -> None:
        """Raise OptionError, with a sentence, for what it can't say: text that is empty or longer
        than `MAX_TEXT`, or a voice that it does not have."""

    def synthesize(
        self, text: str, voice: str | None = None
    ) -> AsyncGenerator[SynthesizedSpeech, None]:
        """Say `text`, sentence by sentence, so that the first words come early.

        Closing the generator, or cancelling who waits for it, cancels what is being synthesized
        at once. SynthesisError when the provider fails, stalls or answers with something else.
        """

    async def close(self) -> None:
        """Give back connections and threads. May be called twice."""
