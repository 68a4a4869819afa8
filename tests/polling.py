"""The way to wait for what sets no event: another process, or another program's page."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

EVERY_S = 0.05


def poll(look: Callable[[], T], seconds: float, missing: Callable[[], object]) -> T:
    """Return the first true value of `look()`; AssertionError with `missing()` after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"after {seconds:.0f} s: {missing()}"
        time.sleep(EVERY_S)
    return found
