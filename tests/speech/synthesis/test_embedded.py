"""The embedded voice: English, on this machine, in order, and never over the network."""

from __future__ import annotations

import asyncio
import socket
import threading

import numpy as np
import pytest

from lipstream.errors import OptionError, SynthesisError
from lipstream.speech.synthesis.base import SynthesizedSpeech
from lipstream.speech.synthesis.embedded import EmbeddedSynthesizer, Voice
from lipstream.speech.synthesis.hibari_voice import HibariVoice
from lipstream.speech.synthesis.sentences import TextPiece

pytest.importorskip("hibari")


@pytest.fixture(scope="module")
def voice() -> HibariVoice:
    return HibariVoice()


def say(voice: Voice, text: str) -> list[SynthesizedSpeech]:
    async def run() -> list[SynthesizedSpeech]:
        synthesizer = EmbeddedSynthesizer(lambda: voice)
        try:
            return [part async for part in synthesizer.synthesize(text)]
        finally:
            await synthesizer.close()

    return asyncio.run(run())


def test_words_have_times(voice: HibariVoice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("it asks for an address"))
    parts = say(voice, "Hello there. It costs $3.50 now.")
    samples = np.concatenate([part.samples for part in parts]).astype(float)
    words = [caption for part in parts for caption in part.captions]
    assert [word.text for word in words] == "Hello there. It costs $3.50 now.".split()
    assert [word.opens_line for word in words] == [True, False, True, False, False, False]
    assert 24_000 < len(samples) < 6 * 24_000
    for word, following in zip(words, [*words[1:], None], strict=True):
        assert word.end is not None and word.start < word.end <= len(samples)
        assert following is None or word.end <= following.start
        assert samples[word.start : word.end].std() > 300  # it is heard there
    assert samples[: 24_000 // 40].std() < 100  # and not before


def test_the_same_text_is_the_same_sound(voice: HibariVoice) -> None:
    first, second = (say(voice, "Yes.") for _ in range(2))
    assert all((a.samples == b.samples).all() for a, b in zip(first, second, strict=True))


def test_what_is_no_word_is_no_sound(voice: HibariVoice) -> None:
    assert len(voice.say(TextPiece("…")).samples) == 0


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("Hello.", "emma", "there is no voice 'emma'; the embedded one is 'heart'."),
        ("你好", None, "the embedded voice speaks English only, and no word of the text is"),
        ("  ", None, "the text is empty"),
    ],
)
def test_what_it_cannot_say_is_refused(text: str, name: str | None, message: str) -> None:
    synthesizer = EmbeddedSynthesizer(FakeVoice)
    with pytest.raises(OptionError, match=message):
        synthesizer.check(text, name)
    asyncio.run(synthesizer.close())


def test_other_alphabets_are_warned_of() -> None:
    synthesizer = EmbeddedSynthesizer(FakeVoice)
    asyncio.run(synthesizer.close())
    assert synthesizer.warning("Café naïve, 3 €.") is None
    assert "English only" in (synthesizer.warning("hello мир") or "")


class FakeVoice:
    """Says a hundred samples, as soon as it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.began = threading.Event()
        self.said: list[str] = []

    def say(self, piece: TextPiece) -> SynthesizedSpeech:
        self.began.set()
        assert self.may.wait(20)
        self.said.append(piece.text)
        return SynthesizedSpeech(np.zeros(100, np.int16))


def test_who_is_cancelled_does_not_wait_for_the_thread() -> None:
    async def run() -> None:
        voice = FakeVoice()
        synthesizer = EmbeddedSynthesizer(lambda: voice)
        waiting = asyncio.ensure_future(anext(synthesizer.synthesize("One.\nTwo.\nThree.")))
        assert await asyncio.to_thread(voice.began.wait, 20)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert voice.said == []  # it is still at work, and nobody waited for it
        voice.may.set()
        later = [part async for part in synthesizer.synthesize("Four.")]
        assert len(later) == 1 and voice.said == ["One.", "Four."]
        await synthesizer.close()

    asyncio.run(asyncio.wait_for(run(), 20))


def test_too_many_sentences_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipstream.speech.synthesis.embedded.MAX_WAITING", 0)
    with pytest.raises(SynthesisError, match="wait for the embedded voice"):
        say(FakeVoice(), "One.")


def test_a_voice_that_does_not_load_is_said() -> None:
    def broken() -> Voice:
        raise RuntimeError("no such file")

    async def run() -> None:
        synthesizer = EmbeddedSynthesizer(broken)
        try:
            async for _ in synthesizer.synthesize("One."):
                pass
        finally:
            await synthesizer.close()

    with pytest.raises(SynthesisError, match=r"does not load \(RuntimeError: no such file\)"):
        asyncio.run(run())
