"""A text as sound without an event loop: what is interrupted is cancelled."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator

import pytest

from lipstream.speech.synthesis import spoken_text
from lipstream.speech.synthesis.base import SynthesizedSpeech
from lipstream.speech.synthesis.spoken_text import open_text


class EndlessSynthesizer:
    """Begins, and never says anything."""

    sample_rate = 24_000
    voices = ("nobody",)

    def __init__(self) -> None:
        self.began = threading.Event()
        self.ended: list[str] = []

    def check(self, text: str, voice: str | None) -> None:
        pass

    def warning(self, text: str) -> str | None:
        return None

    async def synthesize(
        self, text: str, voice: str | None = None
    ) -> AsyncGenerator[SynthesizedSpeech, None]:
        self.began.set()
        try:
            await asyncio.Event().wait()
            raise AssertionError("nobody sets it")
            yield
        finally:
            await asyncio.sleep(0)  # as a request that hangs up takes a turn of the loop or two
            self.ended.append("request")

    async def close(self) -> None:
        self.ended.append("synthesizer")


def test_an_interrupt_cancels_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    synthesizer = EndlessSynthesizer()
    monkeypatch.setattr(spoken_text, "open_synthesizer", lambda tts, model: synthesizer)
    waiting = threading.get_ident()

    def interrupt() -> None:
        assert synthesizer.began.wait(20)
        signal.pthread_kill(waiting, signal.SIGINT)

    pressed = threading.Thread(target=interrupt)
    pressed.start()
    with pytest.raises(KeyboardInterrupt), open_text("Hello.") as spoken:
        list(spoken)
    pressed.join()
    assert synthesizer.ended == ["request", "synthesizer"]
