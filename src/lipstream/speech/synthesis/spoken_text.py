"""A text as sound for who works without an event loop: the offline path."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import TimeoutError as FutureTimeout  # one of its own in Python 3.10
from typing import Any, TypeVar

from lipstream.errors import MissingError, SynthesisError
from lipstream.media.audio import AudioChunk
from lipstream.media.captions import Caption
from lipstream.speech.synthesis.base import SynthesizedSpeech, Synthesizer
from lipstream.speech.synthesis.registry import install_voice, open_synthesizer

CLOSING_S = 30.0  # for connections, or a voice that is loading; then the process' end ends them

T = TypeVar("T")


@contextlib.contextmanager
def open_text(
    text: str, tts: str | None = None, model: str | None = None, voice: str | None = None
) -> Iterator[SpokenText]:
    """The sound of `text`, said by `voice` of what `open_synthesizer(tts, model=model)` opens.

    Raises OptionError for a text or voice that cannot be said, MissingError when there is no voice.
    """
    synthesizer = open_synthesizer(tts, model=model)
    if synthesizer is None:
        raise MissingError(
            f"there is no voice to speak text; {install_voice()}, or name a provider of it."
        )
    with _EventLoop() as loop:
        try:
            synthesizer.check(text, voice)
            with contextlib.closing(SpokenText(synthesizer, text, voice, loop)) as spoken:
                yield spoken
        finally:
            with contextlib.suppress(TimeoutError, FutureTimeout):  # what is under way says more
                loop.run(synthesizer.close(), CLOSING_S)


class SpokenText:
    """The sound of a text; iterating it, once, synthesizes it a little ahead."""

    channels = 1
    duration_hint: float | None = None  # seconds; nobody knows before it is said

    def __init__(
        self, synthesizer: Synthesizer, text: str, voice: str | None, loop: _EventLoop
    ) -> None:
        self.sample_rate = synthesizer.sample_rate
        self.warning = synthesizer.warning(text)
        self._loop = loop
        self._parts = synthesizer.synthesize(text, voice)
        self._captions: list[Caption] = []
        self._task: asyncio.Task[Any] | None = None  # that waits for the next part

    @property
    def captions(self) -> tuple[Caption, ...]:
        """Those of the sound that was given out."""
        return tuple(self._captions)

    def __iter__(self) -> Iterator[AudioChunk]:
        """Chunks as they come, none of them empty. SynthesisError as the synthesizer raises it."""
        silent = True
        while (part := self._loop.run(self._next())) is not None:
            self._captions += part.captions
            if len(part.samples):
                silent = False
                yield AudioChunk(part.samples, self.sample_rate)
        if silent:
            raise SynthesisError("the text holds no word that the voice can say; write another.")

    async def _next(self) -> SynthesizedSpeech | None:
        self._task = asyncio.current_task()
        return await anext(self._parts, None)

    def close(self) -> None:
        """Cancel what is being synthesized, also when the wait for it was interrupted."""
        self._loop.run(self._close(), CLOSING_S)

    async def _close(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()  # a generator that runs can't be closed
            await asyncio.wait((self._task,))
        await self._parts.aclose()


class _EventLoop:
    """An event loop in a thread: what is synthesized ahead goes on while pictures are drawn."""

    def __enter__(self) -> _EventLoop:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="lipstream-text", daemon=True
        )
        self._thread.start()
        return self

    def run(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        """The result of `work`. FutureTimeout when it takes longer."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSING_S)
        if not self._thread.is_alive():
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
