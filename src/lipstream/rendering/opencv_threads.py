"""OpenCV's number of threads, a setting of the whole process, while pictures are worked on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

_lock = threading.Lock()
_users = 0
_before = 0  # threads, when the first of the users came


@contextmanager
def one_thread_per_picture() -> Iterator[None]:
    """Keep OpenCV to the calling thread while this lasts.

    A puppet's pictures and those that the face networks see are small: splitting each among
    threads doubles the processor time and saves none; where other work keeps the cores busy, every
    piece waits for the last thread and takes five times as long. Several users may overlap; when
    the last of them leaves, what was set before the first is set again.
    """
    global _users, _before
    with _lock:
        _users += 1
        if _users == 1:
            _before = cv2.getNumThreads()
            cv2.setNumThreads(1)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                cv2.setNumThreads(_before)
