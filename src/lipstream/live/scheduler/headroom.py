"""The time that work is given beyond what it takes."""

from __future__ import annotations

# A late frame gives all work so much more time, at most so often and up to a maximum. Each frame in
# time takes a little back, so that about one frame in 400 is late under a heavy load.
STEP_MS, EVERY_MS, MAX_MS, DECAY_MS = 20, 100, 240, 0.05


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
