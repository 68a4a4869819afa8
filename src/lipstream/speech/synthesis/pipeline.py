"""Pieces of a text, synthesized one ahead of the one that is spoken."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import replace

from lipstream.errors import SynthesisError
from lipstream.media.captions import Caption
from lipstream.speech.synthesis.base import MAX_SPEECH_S, SynthesizedSpeech
from lipstream.speech.synthesis.sentences import TextPiece

AHEAD = 2  # pieces that are synthesized at a time: the one that is spoken, and the next
MAX_WAITING = 64  # parts of a piece that wait to be spoken; then its provider waits

Speak = Callable[[TextPiece], AsyncGenerator[SynthesizedSpeech, None]]


async def pipelined(
    pieces: Iterable[TextPiece], speak: Speak, sample_rate: int
) -> AsyncGenerator[SynthesizedSpeech, None]:
    """Say `pieces` in order; captions, which count from their piece, then count from the first.

    Closing the generator closes what `speak` gave before it returns. SynthesisError for more sound
    than MAX_SPEECH_S.
    """
    left = iter(pieces)
    lanes: deque[_Lane] = deque()
    spoken = 0  # samples
    try:
        while True:
            while len(lanes) < AHEAD and (piece := next(left, None)) is not None:
                lanes.append(_Lane(speak(piece)))
            if not lanes:
                return
            start = spoken
            while (part := await lanes[0].next()) is not None:
                spoken += len(part.samples)
                if spoken > MAX_SPEECH_S * sample_rate:
                    raise SynthesisError(
                        f"the speech provider answered with more than {MAX_SPEECH_S // 60} "
                        "minutes of sound, which the text cannot take; check the provider.",
                        "bad_answer",
                    )
                captions = tuple(_shifted(caption, start) for caption in part.captions)
                yield replace(part, captions=captions)
            await lanes.popleft().close()
    finally:
        for lane in lanes:
            lane.cancel()
        for lane in lanes:
            await lane.close()


class _Lane:
    """The synthesis of one piece, in a task of its own."""

    def __init__(self, speech: AsyncGenerator[SynthesizedSpeech, None]) -> None:
        self._parts: asyncio.Queue[SynthesizedSpeech | None] = asyncio.Queue(MAX_WAITING)
        self._task = asyncio.create_task(self._fill(speech))

    async def _fill(self, speech: AsyncGenerator[SynthesizedSpeech, None]) -> None:
        async with aclosing(speech):
            async for part in speech:
                await self._parts.put(part)
        await self._parts.put(None)

    async def next(self) -> SynthesizedSpeech | None:
        """The next part, None after the last; raises what the synthesis raised."""
        if self._parts.empty():
            waiting = asyncio.ensure_future(self._parts.get())
            try:
                await asyncio.wait((waiting, self._task), return_when=asyncio.FIRST_COMPLETED)
                if waiting.done():
                    return waiting.result()
            finally:
                waiting.cancel()
            if self._parts.empty():
                self._task.result()  # raises: an end would have been put there
        return self._parts.get_nowait()

    def cancel(self) -> None:
        self._task.cancel()

    async def close(self) -> None:
        """Return when its task has ended; what it raised went to who called `next`, or is stale."""
        self._task.cancel()
        await asyncio.wait((self._task,))
        if not self._task.cancelled():
            self._task.exception()


def _shifted(caption: Caption, samples: int) -> Caption:
    end = None if caption.end is None else caption.end + samples
    return replace(caption, start=caption.start + samples, end=end)
