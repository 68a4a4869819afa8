"""Variants of portraits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipstream.media.image import Image
from tests.training.neural.corpora import EXAMPLES
from training.neural.portraits import SIDE, Light, read_portraits, variant


@pytest.fixture(scope="module")
def portrait() -> Image:
    return read_portraits([EXAMPLES])["portrait_closed"]


def test_a_portrait_is_a_square_around_its_face(portrait: Image) -> None:
    assert portrait.shape == (SIDE, SIDE, 3)


def test_variants_differ_and_can_talk(portrait: Image) -> None:
    dice = np.random.default_rng(3)
    avatars = [variant(portrait, dice) for _ in range(2)]
    one, other = (avatar.frames[0] for avatar in avatars if avatar is not None)
    assert one.landmarks is not None and other.landmarks is not None
    assert np.abs(one.landmarks - other.landmarks).max() > 3


def test_neutral_light_changes_nothing(portrait: Image) -> None:
    assert np.array_equal(Light(np.ones(3, np.float32), 1.0, 1.0).on(portrait), portrait)


def test_a_folder_without_faces_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(FileNotFoundError, match="shows a face"):
        read_portraits([tmp_path])
