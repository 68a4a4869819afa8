"""Variants of portraits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.neural.corpora import EXAMPLES
from training.neural.portraits import SIDE, Light, Portrait, mixed, read_portraits, variant


@pytest.fixture(scope="module")
def portraits() -> dict[str, Portrait]:
    return read_portraits([EXAMPLES])


def test_a_portrait_is_a_square_around_its_face(portraits: dict[str, Portrait]) -> None:
    for portrait in portraits.values():
        assert portrait.picture.shape == (SIDE, SIDE, 3)
        assert np.abs(portrait.points.mean(axis=0) - SIDE / 2).max() < SIDE / 8


def test_all_of_one_of_two_is_that_one(portraits: dict[str, Portrait]) -> None:
    pytest.importorskip("scipy")
    one, other = portraits["portrait_closed"], portraits["painting"]
    apart = np.abs(mixed(one, other, 1.0).astype(int) - one.picture)
    assert apart.max() <= 1
    half = mixed(one, other, 0.5).astype(int).mean()
    assert half == pytest.approx((one.picture.mean() + other.picture.mean()) / 2, abs=8)


def test_variants_differ_and_can_talk(portraits: dict[str, Portrait]) -> None:
    pytest.importorskip("scipy")
    dice = np.random.default_rng(3)
    one, other = portraits["portrait_closed"], portraits["painting"]
    avatars = [variant(one, other, dice) for _ in range(2)]
    first, second = (avatar.frames[0].landmarks for avatar in avatars if avatar is not None)
    assert first is not None and second is not None
    assert np.abs(first - second).max() > 3


def test_neutral_light_changes_nothing(portraits: dict[str, Portrait]) -> None:
    picture = portraits["portrait"].picture
    assert np.array_equal(Light(np.ones(3, np.float32), 1.0, 1.0).on(picture), picture)


def test_a_folder_without_faces_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(FileNotFoundError, match="shows a face"):
        read_portraits([tmp_path])
