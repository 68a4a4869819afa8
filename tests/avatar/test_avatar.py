from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.avatar.avatar import AvatarFrame, ping_pong
from lipstream.errors import ArchiveError


@given(index=st.integers(0, 10**12), length=st.integers(2, 2000))
def test_ping_pong_moves_by_one_frame_and_turns_at_the_ends(index: int, length: int) -> None:
    before, now, after = (ping_pong(index + step, length) for step in range(3))
    assert abs(now - before) == abs(after - now) == 1
    assert all(0 <= position < length for position in (before, now, after))
    if before == after:
        assert now in (0, length - 1)


@given(length=st.integers(1, 200))
def test_ping_pong_shows_every_frame_from_the_first_on(length: int) -> None:
    assert [ping_pong(index, length) for index in range(length)] == list(range(length))
    assert ping_pong(2 * max(length - 1, 1), length) == 0


def test_a_frame_that_cannot_be_decoded_says_so() -> None:
    with pytest.raises(ArchiveError, match="cannot be decoded"):
        _ = AvatarFrame(b"no jpeg", None).pixels


def test_pixels_of_a_picture_are_the_picture() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    assert AvatarFrame(image, None).pixels is image
