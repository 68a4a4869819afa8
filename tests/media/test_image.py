"""Boxes measure, cut and stay inside the picture."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lipstream.media.image import Box, TimedFrame

sides = st.integers(-50, 150)
boxes = st.builds(Box, sides, sides, sides, sides)


def test_a_box_cuts_its_pixels_out_of_a_picture() -> None:
    picture = np.arange(6 * 8).reshape(6, 8)
    box = Box(left=2, top=1, right=5, bottom=3)
    assert (box.width, box.height) == (3, 2)
    assert picture[box.slices].tolist() == [[10, 11, 12], [18, 19, 20]]


@given(box=boxes, width=st.integers(1, 100), height=st.integers(1, 100))
def test_a_clipped_box_lies_inside_the_picture(box: Box, width: int, height: int) -> None:
    clipped = box.clip(width, height)
    assert 0 <= clipped.left <= width and 0 <= clipped.right <= width
    assert 0 <= clipped.top <= height and 0 <= clipped.bottom <= height
    assert clipped.clip(width, height) == clipped


@given(box=boxes)
def test_a_box_that_fits_is_not_changed(box: Box) -> None:
    if min(box.left, box.top, box.right, box.bottom) >= 0:
        assert box.clip(150, 150) == box


def test_a_timed_frame_keeps_its_picture_and_time() -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    timed = TimedFrame(picture, 40)
    assert timed.frame is picture and timed.timestamp_ms == 40
