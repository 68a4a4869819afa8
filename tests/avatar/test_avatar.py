from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.avatar.avatar import Avatar, AvatarFrame, join_ragged, ping_pong, split_ragged
from lipstream.avatar.builder import build_avatar
from lipstream.errors import ArchiveError, OptionError


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


@pytest.fixture(scope="module")
def avatar(portrait_path: Path) -> Avatar:
    return build_avatar(portrait_path)


def test_what_was_not_prepared_is_refused_in_one_sentence(avatar: Avatar) -> None:
    assert "face_latent" not in avatar
    with pytest.raises(OptionError, match="no 'face_latent'.* for the musetalk backend"):
        avatar["face_latent"]


def test_an_avatar_answers_what_a_backend_prepared(avatar: Avatar) -> None:
    latents = np.zeros((1, 8, 32, 32), np.float32)
    masks = [np.full((3, 5), 1, np.uint8), np.full((2, 2), 2, np.uint8)]
    arrays = {"face_latent": latents, **join_ragged("mask", masks)}
    ready = replace(avatar, extras={"musetalk": arrays})
    assert ready["face_latent"] is latents and "mask" in ready
    assert [mask.tolist() for mask in ready["mask"]] == [mask.tolist() for mask in masks]


def test_ragged_arrays_may_be_empty() -> None:
    parts = [np.zeros((0, 0), np.uint8), np.full((1, 2), 3, np.uint8)]
    joined = join_ragged("mask", parts)
    again = split_ragged(joined["mask"], joined["mask_shapes"])
    assert [part.shape for part in again] == [(0, 0), (1, 2)] and (again[1] == 3).all()
