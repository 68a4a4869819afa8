"""How long the frames that a piece of speech makes possible wait for the device, and take there."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from lipstream.timeline import FPS, SAMPLE_RATE, frame_start

if TYPE_CHECKING:
    from lipstream.speech.base import Plan

Spell: TypeAlias = tuple[int, int]  # when a frame's batch was begun and done, ms of the clock


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one chunk of speech, ms since it was pushed."""

    begun: int  # when the device was given the last of the frames that the chunk made possible
    made: int  # when that frame was there


class Answers:
    """Follows one session's chunks and the frames of its only utterance, which has no end.

    A frame is possible when the sound of its segment and the look-ahead behind it have been pushed.
    What it waits for beyond that is the server's doing.
    """

    def __init__(self, plan: Plan, chunk_ms: int) -> None:
        self.found: list[Answer] = []
        self._plan, self._chunk = plan, SAMPLE_RATE * chunk_ms // 1000
        self._pushed: deque[int] = deque()  # when chunks were, the first of them `_first`
        self._first = 0
        self._frame = 0  # the next one of the utterance
        self._last: Spell | None = None  # of the frames that chunk `_first` made possible

    def push(self, now_ms: int) -> None:
        """The next chunk has been pushed."""
        self._pushed.append(now_ms)

    def show(self, spell: Spell | None) -> None:
        """The next frame of the utterance has been given out; None when it was not drawn in time.

        Tells nothing of chunks that made no frame possible.
        """
        chunk = self._chunk_of(self._frame)
        self._frame += 1
        if chunk > self._first:
            if self._last is not None:
                pushed, (begun, made) = self._pushed[0], self._last
                self.found.append(Answer(begun - pushed, made - pushed))
            for _ in range(chunk - self._first):
                self._pushed.popleft()
            self._first, self._last = chunk, None
        if spell is not None:
            self._last = spell

    def _chunk_of(self, frame: int) -> int:
        """The chunk that brought the last of what `frame` needs."""
        step = self._plan.step
        needed = frame_start((frame // step + 1) * step, FPS) + self._plan.future
        return (needed - 1) // self._chunk


def percentile(values: Sequence[float], percent: float) -> float | None:
    """None of nothing."""
    return float(np.percentile(values, percent)) if values else None
