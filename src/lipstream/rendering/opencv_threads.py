"""How many threads draw one picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread_per_picture() -> Iterator[None]:
    """Keep OpenCV to the calling thread while this lasts; what was set before comes back.

    A puppet's pictures are small: splitting each among threads doubles the processor time and
    saves none, and it takes the cores that the video encoder needs.
    """
    try:
        import cv2
    except ModuleNotFoundError:  # pictures are put together elsewhere, on a GPU
        yield
        return
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
