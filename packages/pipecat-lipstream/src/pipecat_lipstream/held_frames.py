"""Frames that must not overtake the speech before them.

A bot's TTS is ahead of its speech. What it says of it, such as the text of a sentence or the end
of an answer, is true once that was heard: a bot that is interrupted must not believe that it said
more.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pipecat.frames.frames import Frame

# The number of an utterance, and milliseconds of it: (2, 340.0) comes after (1, END).
Position: TypeAlias = tuple[int, float]
END = math.inf
# Some TTS services say seconds late that they are done, and the last sounds of an utterance cannot
# be drawn before it is known to end: it ends when nothing came for so long and little is left.
PAUSE_S = 0.3
NEARLY_MS = 300
BEGINNING: Position = (0, END)


class HeldFrames:
    """Frames in their order, each behind a position of the speech."""

    def __init__(self) -> None:
        self._held: deque[tuple[Position, Frame]] = deque()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, frame: Frame, position: Position) -> None:
        """Hold `frame` until `position` was heard; positions never go back."""
        self._held.append((position, frame))

    def due(self, heard: Position) -> Iterator[Frame]:
        """Take those that are behind nothing but what was `heard`, one by one."""
        while self._held and self._held[0][0] <= heard:
            yield self._held.popleft()[1]

    def interrupt(self, kept: Collection[int] = ()) -> None:
        """Drop what an interruption drops: all but frames that are not interruptible, and those of
        the utterances `kept`."""
        self._held = deque(
            (position, frame)
            for position, frame in self._held
            if position[0] in kept or not frame.interruptible
        )
