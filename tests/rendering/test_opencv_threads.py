"""OpenCV's number of threads while pictures are drawn."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import pytest

from lipstream.rendering.opencv_threads import one_thread_per_picture


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    yield
    cv2.setNumThreads(before)


def test_two_overlapping_users_leave_what_was_set_before_the_first() -> None:
    first, second = one_thread_per_picture(), one_thread_per_picture()
    first.__enter__()
    second.__enter__()
    assert cv2.getNumThreads() == 1
    first.__exit__(None, None, None)
    assert cv2.getNumThreads() == 1
    second.__exit__(None, None, None)
    assert cv2.getNumThreads() == 3


def test_an_error_leaves_what_was_set_before() -> None:
    with pytest.raises(ValueError), one_thread_per_picture():
        raise ValueError
    assert cv2.getNumThreads() == 3
