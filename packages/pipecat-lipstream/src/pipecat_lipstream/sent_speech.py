"""Speech on its way to a server, until the server has said what became of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pipecat_lipstream.held_frames import BEGINNING, END, NEARLY_MS, PAUSE_S, Position


@dataclass
class SentUtterance:
    """An utterance that was begun at the server's socket."""

    number: int  # of ours, from 1
    id: int | None = None  # of the session's, once the server has told it
    sent_ms: float = 0.0
    sent_at: float = 0.0  # the last of it, in seconds
    started: float | None = None  # when its first sound was heard, in seconds
    interruptible: bool = True


class SentSpeech:
    """The utterances that are not finished, in their order. It has no network."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        """`seconds` is a clock that never goes back."""
        self.open: SentUtterance | None = None  # the one that is added to
        self._seconds = seconds
        self._unfinished: deque[SentUtterance] = deque()
        self._nameless: deque[SentUtterance] = deque()  # the server has yet to tell their ids
        self._numbers = 0
        self._heard = BEGINNING

    @property
    def waiting_ms(self) -> float:
        """Milliseconds that were sent and are not known to be heard, at most."""
        return sum(utterance.sent_ms for utterance in self._unfinished)

    @property
    def silent(self) -> bool:
        """True when everything that was sent was heard, or dropped."""
        return not self._unfinished

    @property
    def interruptible(self) -> bool:
        """True when all of it may be dropped."""
        return all(utterance.interruptible for utterance in self._unfinished)

    @property
    def end(self) -> Position:
        """The end of what was sent so far."""
        if self.open is not None:
            return self.open.number, self.open.sent_ms
        return (self._unfinished[-1].number, END) if self._unfinished else self._heard

    def add(self, ms: float, *, interruptible: bool = True) -> None:
        """Add to the open utterance; open one where there is none."""
        if self.open is None:
            self._numbers += 1
            self.open = SentUtterance(self._numbers)
            self._unfinished.append(self.open)
            self._nameless.append(self.open)
        self.open.sent_ms += ms
        self.open.sent_at = self._seconds()
        self.open.interruptible = self.open.interruptible and interruptible

    @property
    def pausing(self) -> bool:
        """True when nothing was added for a while, and what was sent is nearly heard."""
        if self.open is None or self._seconds() - self.open.sent_at <= PAUSE_S:
            return False
        number, heard_ms = self.heard()
        return number == self.open.number and self.open.sent_ms - heard_ms <= NEARLY_MS

    def close(self) -> Position:
        """End the open utterance, if there is one. Returns the end of what was sent."""
        self.open = None
        return self.end

    def named(self, id: int) -> None:
        """Note that the server has opened the next utterance."""
        if self._nameless:  # also of one that was dropped since
            self._nameless.popleft().id = id

    def started(self, id: int | None) -> bool:
        """Note that the server has begun to play one; False when it is none of these."""
        utterance = self._find(id)
        if utterance is None:
            return False
        utterance.started = self._seconds()
        return True

    def finished(self, id: int | None) -> bool:
        """Note that the server plays no more of one; False when it is none of these."""
        utterance = self._find(id)
        if utterance is None:
            return False
        while self._unfinished and self._unfinished[0].number <= utterance.number:
            self._heard = (self._unfinished.popleft().number, END)
        if self.open is utterance:
            self.open = None
        return True

    def drop(self) -> None:
        """Forget all of it: it is interrupted, or the session has ended."""
        self._unfinished.clear()
        self.open = None
        self._heard = (self._numbers, END)

    def heard(self) -> Position:
        """The part that was heard, by the clock where an utterance is in the middle."""
        if self._unfinished:
            first = self._unfinished[0]
            played_ms = 0.0
            if first.started is not None:
                played_ms = min(1000 * (self._seconds() - first.started), first.sent_ms)
            self._heard = max(self._heard, (first.number, played_ms))
        return self._heard

    def _find(self, id: int | None) -> SentUtterance | None:
        if id is None:
            return None
        return next((one for one in self._unfinished if one.id == id), None)
