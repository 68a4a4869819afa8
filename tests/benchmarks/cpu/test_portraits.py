from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.cpu.portraits import PORTRAITS, TILT, closed
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.face.landmarks import LIPS, eye_distance, roll


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.mark.parametrize("name", PORTRAITS)
def test_every_portrait_shows_one_face_and_is_the_same_each_time(
    name: str, finder: FaceFinder
) -> None:
    image = PORTRAITS[name]()
    assert image.shape == (512, 512, 3)
    assert image.dtype == np.uint8
    assert len(finder.find(image)) == 1
    assert (PORTRAITS[name]() == image).all()


@pytest.mark.parametrize("name", ["bearded", "spectacled"])
def test_what_is_drawn_leaves_the_lips_alone(name: str, finder: FaceFinder) -> None:
    before, after = (finder.find(image)[0].landmarks for image in (closed(), PORTRAITS[name]()))
    moved = np.linalg.norm(before - after, axis=1)[list(LIPS)].mean()
    assert moved < 0.03 * eye_distance(before)


def test_the_tilted_head_is_tilted_clockwise(finder: FaceFinder) -> None:
    before, after = (finder.find(image)[0].landmarks for image in (closed(), PORTRAITS["tilted"]()))
    assert math.degrees(roll(after) - roll(before)) == pytest.approx(TILT, abs=1)
