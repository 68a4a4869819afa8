"""How many threads draw one picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def one_thread_per_picture() -> Iterator[None]:
    """Keep OpenCV to the calling thread while this lasts; what was set before comes back.

    A puppet's pictures are small: splitting each among threads doubles the processor time and
    saves none, and it takes the cores that the video encoder needs.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
