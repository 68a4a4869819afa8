"""A token bucket: so much per second in the long run, and so much at once."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """Gives out `rate` tokens a second and at most `burst` at once. For example, with a rate of 2
    and a burst of 4 a full bucket gives 4 at once, and 2 more when a second has passed."""

    def __init__(
        self, rate: float, burst: float, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """`seconds` is a clock that never goes back."""
        self._rate, self._burst, self._seconds = rate, burst, seconds
        self._level, self._at = burst, seconds()

    def take(self, tokens: float = 1) -> bool:
        """Take all of `tokens`, or none and return False."""
        now = self._seconds()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        if tokens > self._level:
            return False
        self._level -= tokens
        return True

    def wait_s(self, tokens: float = 1) -> float:
        """The seconds from the last `take` until `tokens` are available."""
        return max(tokens - self._level, 0) / self._rate
