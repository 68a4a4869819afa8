"""Frames in which a person talks are told from those with closed lips, whatever the mesh's bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lipstream.avatar.face.openness import openness, parted
from tests.avatar.scenes import opened

if TYPE_CHECKING:
    from lipstream.avatar.face.finder import Face


def test_openness_is_the_gap_in_mouth_widths(face: Face) -> None:
    assert np.isclose(openness(opened(face, 0.3)), 0.3, atol=0.02)


def test_noise_of_closed_lips_is_not_talking(face: Face) -> None:
    gaps = (0.03, 0.05, 0.04, 0.2, 0.3)
    assert list(parted([opened(face, gap) for gap in gaps])) == [False] * 3 + [True] * 2


def test_a_shot_without_closed_lips_is_open_throughout(face: Face) -> None:
    assert parted([opened(face, gap) for gap in (0.15, 0.16, 0.15)]).all()
