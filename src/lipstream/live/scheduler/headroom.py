"""The time that drawing takes, learnt from what was drawn, and the time given beyond it."""

from __future__ import annotations

MAX_COST_MS = 120  # of a batch, at most, unless batches take half as long already
# A late frame gives all work so much more time, at most so often and up to a maximum. Each frame in
# time takes a little back, so that about one frame in 400 is late under a heavy load.
STEP_MS, EVERY_MS, MAX_MS, DECAY_MS = 20, 100, 240, 0.05


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


class Headroom:
    """Grows when frames are late and shrinks slowly while they are not.

    Alone, a session answers at once; beside others, it leaves them time for theirs.
    """

    def __init__(self) -> None:
        self._reserve = 0.0
        self._grown_ms = -EVERY_MS  # when it last grew

    @property
    def ms(self) -> int:
        return round(self._reserve)

    def grow(self, now_ms: int) -> None:
        """A frame was late. Several at a time have one cause."""
        if now_ms - self._grown_ms >= EVERY_MS:
            self._grown_ms = now_ms
            self._reserve = min(self._reserve + STEP_MS, MAX_MS)

    def shrink(self, frames: int) -> None:
        """So many frames came in time."""
        self._reserve = max(self._reserve - frames * DECAY_MS, 0.0)
