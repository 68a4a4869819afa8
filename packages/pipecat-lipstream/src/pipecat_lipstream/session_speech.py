"""The bot's utterances in a live session of this process."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipecat_lipstream.held_frames import BEGINNING, END, NEARLY_MS, PAUSE_S, Position

if TYPE_CHECKING:
    import lipstream


@dataclass
class SpokenUtterance:
    """An utterance of the session, and what the pipeline says of it."""

    number: int  # of ours, from 1
    utterance: lipstream.Utterance
    context_id: str | None = None
    interruptible: bool = True
    samples: int = 0  # that were pushed
    pushed_at: float = 0.0  # the last of them, in seconds

    @property
    def pushed_ms(self) -> int:
        """Milliseconds that were pushed."""
        return self.samples * 1000 // self.utterance.sample_rate


class SessionSpeech:
    """The utterances that are not finished, in their order."""

    def __init__(self) -> None:
        self.open: SpokenUtterance | None = None  # the one that TTS adds to
        self.heard = BEGINNING  # what was given out
        self._unfinished: deque[SpokenUtterance] = deque()
        self._numbers = 0

    @property
    def silent(self) -> bool:
        """True when everything was given out, or cancelled."""
        return not self._unfinished

    @property
    def first(self) -> SpokenUtterance | None:
        """The one that plays, or plays next."""
        return self._unfinished[0] if self._unfinished else None

    @property
    def end(self) -> Position:
        """The end of what was pushed so far."""
        if self.open is not None:
            return self.open.number, self.open.pushed_ms
        return (self._unfinished[-1].number, END) if self._unfinished else self.heard

    def begin(self, utterance: lipstream.Utterance, context_id: str | None) -> SpokenUtterance:
        """Open one, which `utterance` of the session is."""
        self._numbers += 1
        self.open = SpokenUtterance(self._numbers, utterance, context_id)
        self._unfinished.append(self.open)
        return self.open

    def close(self) -> Position:
        """End the open utterance, if there is one. Returns the end of what was pushed."""
        if self.open is not None:
            self.open.utterance.end()
            self.open = None
        return self.end

    def close_pausing(self, now: float, look_ahead_ms: int) -> None:
        """End the open utterance when nothing came for a while and it is nearly given out."""
        spoken = self.open
        if spoken is not None and now - spoken.pushed_at > PAUSE_S:
            if spoken.utterance.buffered_ms <= look_ahead_ms + NEARLY_MS:
                self.close()

    def interrupt(self) -> list[int]:
        """Cancel all but what must not be interrupted; returns the numbers of that."""
        for spoken in self._unfinished:
            if spoken.interruptible:
                spoken.utterance.cancel()
        self._unfinished = deque(one for one in self._unfinished if not one.interruptible)
        if self.open is not None and self.open.interruptible:
            self.open = None
        if not self._unfinished:
            self.heard = (self._numbers, END)
        return [spoken.number for spoken in self._unfinished]

    def follow(self) -> None:
        """Note how much was given out."""
        while self._unfinished and self._unfinished[0].utterance.finished:
            self.heard = (self._unfinished.popleft().number, END)
        if (first := self.first) is not None:
            self.heard = (first.number, first.utterance.played_ms)
