"""The time that the renderer takes, learnt from what it has drawn."""

from __future__ import annotations

MAX_COST_MS = 120  # of a batch, at most, unless batches take half as long already


class FrameCost:
    """The moving average of the time that a batch with speech takes, in ms."""

    def __init__(self) -> None:
        self.ms = 0.0
        self._spoke = False  # a batch with speech has been drawn

    def learn(self, took_ms: float, speaks: bool) -> None:
        """A batch took so long. Idle frames cost a network nothing and say little of speech."""
        # A single slow batch says little, and would count for as long as nobody speaks.
        capped = min(took_ms, max(MAX_COST_MS, 2 * self.ms))
        if speaks and not self._spoke:
            self._spoke, self.ms = True, capped
        elif speaks or not self._spoke:
            self.ms += (capped - self.ms) / 8

    def decay(self) -> None:
        """A frame was dropped: a batch that once took long must not stop all work for ever."""
        self.ms *= 0.9
