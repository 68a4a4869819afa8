"""Texts on their way to speech, pushed to utterances of their own."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass

from lipstream.errors import BufferFullError, LipstreamError, SynthesisError
from lipstream.live.session.utterance import Utterance
from lipstream.speech.synthesis.base import Synthesizer

PIECE_MS = 200  # of a synthesized sentence that are pushed at once
BROKEN = "this text could not be spoken, because the voice has a fault; the log has more."

log = logging.getLogger("lipstream.live")


@dataclass(frozen=True)
class SpokenText:
    """A text that is synthesized, or waits for it."""

    utterance: Utterance
    synthesizer: Synthesizer
    text: str
    voice: str | None


class TextQueue:
    """The texts of one session, synthesized one after the other as far ahead as there is room.

    At most `limit` of them wait for their first sound to be heard; more are refused. When the
    utterance of a text is finished, its synthesis is cancelled at once and the next one begins,
    also where the synthesizer takes its time to clean up.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._said: list[Utterance] = []  # that are not finished, also when all was pushed
        self._waiting: deque[SpokenText] = deque()  # the first is being synthesized
        self._task: asyncio.Task[None] | None = None  # of the first
        self._tasks: set[asyncio.Task[None]] = set()  # with those that are being cancelled

    @property
    def synthesizing(self) -> bool:
        """True while a text is being synthesized, or waits for it."""
        return bool(self._waiting)

    def check_room(self) -> None:
        """BufferFullError when another text would be one too many."""
        self._said = [utterance for utterance in self._said if not utterance.finished]
        if sum(utterance.state == "queued" for utterance in self._said) >= self._limit:
            raise BufferFullError(
                f"{self._limit} texts wait to be spoken already; say the next one later."
            )

    def put(self, text: SpokenText) -> None:
        """Synthesize `text` behind the others."""
        self._said.append(text.utterance)
        self._waiting.append(text)
        if self._task is None:
            self._begin()

    def drop(self, utterance_id: int) -> None:
        """Cancel the synthesis for this utterance, if there is one."""
        first = self._waiting[0] if self._waiting else None
        if first is not None and first.utterance.id == utterance_id and self._task is not None:
            self._task.cancel()
            self._go_on()
        else:
            kept = [text for text in self._waiting if text.utterance.id != utterance_id]
            self._waiting = deque(kept)

    async def wait(self) -> None:
        """Return when no synthesis goes on, nor one that was cancelled."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._speak(self._waiting[0]))
        self._tasks.add(self._task)
        self._task.add_done_callback(self._tasks.discard)

    def _go_on(self) -> None:
        """The first text is through: begin with the next one."""
        self._waiting.popleft()
        self._task = None
        if self._waiting:
            self._begin()

    async def _speak(self, text: SpokenText) -> None:
        try:
            await _push(text)
        except LipstreamError as error:
            text.utterance.fail(error)
        except Exception as error:  # a fault of the synthesizer must not hold up the session
            # An error's own words may hold what was to be said.
            log.error("a synthesizer has raised %s", type(error).__name__)
            log.debug("a synthesizer has failed", exc_info=error)
            text.utterance.fail(SynthesisError(BROKEN))
        if self._task is asyncio.current_task():
            self._go_on()


async def _push(text: SpokenText) -> None:
    """Push what is synthesized, when there is room, and end the utterance."""
    utterance = text.utterance
    length = utterance.sample_rate * PIECE_MS // 1000
    async with aclosing(text.synthesizer.synthesize(text.text, text.voice)) as speech:
        async for part in speech:
            for caption in part.captions:
                utterance.caption(caption)
            for start in range(0, len(part.samples), length):
                await utterance.room(PIECE_MS)
                utterance.push(part.samples[start : start + length])
    utterance.end()
