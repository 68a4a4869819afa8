from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from lipstream.avatar.face.choice import (
    centre,
    choose,
    turned,
    turned_point,
    turns_to_upright,
)
from tests.avatar.scenes import placed

if TYPE_CHECKING:
    from lipstream.avatar.face.finder import Face, FaceFinder
    from lipstream.media.image import Image


@pytest.fixture(scope="module")
def couple(finder: FaceFinder, portrait: Image) -> list[Face]:
    """Two faces, the larger one on the right."""
    return finder.find(np.concatenate([placed(portrait, size=0.7), portrait], axis=1))


def test_a_number_counts_from_the_largest(couple: list[Face]) -> None:
    assert centre(couple[0])[0] > 256 > centre(couple[1])[0]
    assert [choose(couple, number) for number in (1, 2, 3)] == [*couple, None]


def test_a_place_on_a_face_names_it(couple: list[Face]) -> None:
    for face in couple:
        x, y = centre(face)
        assert choose(couple, (x, y)) is face
        assert choose(couple, (x + 25, y - 25)) is face
    assert choose(couple, (3, 3)) is None


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_face_is_set_upright(finder: FaceFinder, portrait: Image, turns: int) -> None:
    lying = finder.find(turned(portrait, turns))[0]
    assert turns_to_upright(lying) == (4 - turns) % 4


@pytest.mark.parametrize("turns", [0, 1, 2, 3, -1])
def test_a_point_turns_with_its_picture(turns: int) -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[12, 45] = 255
    rows, columns = np.nonzero(turned(picture, turns)[..., 0])
    x, y = turned_point((45.5, 12.5), (60, 40), turns)
    assert (columns[0] + 0.5, rows[0] + 0.5) == (x, y)


def test_the_middle_lies_within_the_outline(face: Face) -> None:
    x, y = centre(face)
    low, high = face.landmarks[:, :2].min(axis=0), face.landmarks[:, :2].max(axis=0)
    assert low[0] < x < high[0] and low[1] < y < high[1]
