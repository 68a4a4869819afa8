"""The embedded voice: English, on this machine, without a key or a download."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from typing import Protocol

from lipstream.errors import LipstreamError, OptionError, SynthesisError
from lipstream.speech.synthesis.base import SynthesizedSpeech, check_text
from lipstream.speech.synthesis.hibari_voice import SAMPLE_RATE, VOICE, HibariVoice
from lipstream.speech.synthesis.pipeline import pipelined
from lipstream.speech.synthesis.sentences import TextPiece, pieces_of

MAX_WAITING = 64  # sentences of all sessions
MAX_PART = SAMPLE_RATE  # samples that are given out at once
SAYABLE = re.compile(r"[0-9A-Za-zÀ-ɏ]")  # digits and Latin letters
FOREIGN = re.compile(r"[^\W\d_A-Za-zÀ-ɏ]+")  # letters of other alphabets


class Voice(Protocol):
    """A synthesis that blocks, and that one thread uses at a time."""

    def say(self, piece: TextPiece) -> SynthesizedSpeech:
        """The samples of a piece and its captions, which count from its first sample."""


class EmbeddedSynthesizer:
    """One thread for all sessions. It loads at once, and says one sentence at a time.

    What is cancelled is dropped before its turn, or after the sentence that is being computed.
    """

    sample_rate = SAMPLE_RATE
    voices = (VOICE,)

    def __init__(self, load: Callable[[], Voice] = HibariVoice) -> None:
        self._thread = ThreadPoolExecutor(1, "lipstream-voice")
        self._waiting = 0
        self._voice: Future[Voice] = self._thread.submit(load)

    def check(self, text: str, voice: str | None) -> None:
        """OptionError for other voices, and for text in which no word is English."""
        check_text(text)
        if voice is not None and voice != VOICE:
            raise OptionError(f"there is no voice {voice[:100]!r}; the embedded one is {VOICE!r}.")
        if SAYABLE.search(text) is None:
            raise OptionError(
                "the embedded voice speaks English only, and no word of the text is; name a "
                "provider of speech with --tts."
            )

    def warning(self, text: str) -> str | None:
        """A sentence for text that is partly written in another alphabet."""
        if FOREIGN.search(text) is None:
            return None
        return (
            "the embedded voice speaks English only: words in other alphabets are left out or "
            "spelled; name a provider of speech with --tts."
        )

    async def synthesize(
        self, text: str, voice: str | None = None
    ) -> AsyncGenerator[SynthesizedSpeech, None]:
        """Say `text`, with a caption for each word; see `Synthesizer`."""
        self.check(text, voice)
        async with aclosing(pipelined(pieces_of(text), self._speak, SAMPLE_RATE)) as speech:
            async for part in speech:
                yield part

    async def close(self) -> None:
        """Drop what waits; return when the sentence that is being computed is."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    async def _speak(self, piece: TextPiece) -> AsyncGenerator[SynthesizedSpeech, None]:
        if self._waiting >= MAX_WAITING:
            raise SynthesisError(
                f"{MAX_WAITING} sentences wait for the embedded voice; try again later.", "busy"
            )
        try:
            said = self._thread.submit(self._say, piece)
        except RuntimeError as error:  # the executor's word for closed
            raise SynthesisError("the embedded voice is closed; open another one.") from error
        self._waiting += 1
        try:
            speech = await asyncio.wrap_future(said)
        finally:
            self._waiting -= 1
        for start in range(0, len(speech.samples), MAX_PART):
            part = range(start, start + MAX_PART)
            captions = tuple(caption for caption in speech.captions if caption.start in part)
            yield SynthesizedSpeech(speech.samples[start : start + MAX_PART], captions)

    def _say(self, piece: TextPiece) -> SynthesizedSpeech:
        try:
            voice = self._voice.result()
        except LipstreamError:
            raise
        except Exception as error:  # whatever a package's parts fail with when they load
            raise SynthesisError(
                f"the embedded voice does not load ({type(error).__name__}: {error}); install the "
                "extra `tts` again."
            ) from error
        return voice.say(piece)
