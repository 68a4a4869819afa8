"""The inside of the mouth in finished frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from lipstream.rendering.puppet.portrait import Portrait, prepare_portrait
from lipstream.rendering.puppet.pose import Pose
from tests.rendering.puppet.poses import AH, EXAMPLES, FPS, REST, STILL, pose

if TYPE_CHECKING:
    from lipstream.avatar.face.finder import FaceFinder
    from lipstream.media.image import Image

SOFT = pose(jaw=0.08, wide=0.45, teeth=1, tongue=0.1)
MEDIUM = pose(jaw=0.5, wide=0.55, teeth=0.35)


def prepared(image: Image, finder: FaceFinder) -> Portrait:
    return prepare_portrait(image, finder.find(image)[0].landmarks[:, :2])


@pytest.fixture(scope="module")
def portrait(image: Image, finder: FaceFinder) -> Portrait:
    return prepared(image, finder)


def middle(portrait: Portrait, shown: Pose) -> Image:
    """The (rows, 3) pixels down the middle of the mouth."""
    mouth = portrait.model.mouth
    drawn = portrait.render(0, FPS, shown, STILL)
    reach = np.arange(-4, int(0.4 * mouth.width))
    line = mouth.axes.to_picture(np.stack([np.zeros(len(reach)), mouth.seam[100] + reach], -1))
    x, y = np.round(line).astype(int).T
    return np.asarray(drawn[y, x], np.uint8)


def test_nothing_but_grey_in_a_grey_picture(image: Image, finder: FaceFinder) -> None:
    grey = cv2.merge([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)] * 3).astype(np.uint8)
    portrait = prepared(grey, finder)
    for shown in (SOFT, MEDIUM, AH):
        assert np.ptp(portrait.render(0, FPS, shown, STILL).astype(int), axis=2).max() <= 2


def test_teeth_are_dim_behind_lips_that_hardly_open(portrait: Portrait) -> None:
    """Not a white line in soft sounds."""
    closed, soft, medium = (middle(portrait, shown).mean(1).max() for shown in (REST, SOFT, MEDIUM))
    line = middle(portrait, SOFT).mean(1)[3:8]
    assert line.max() < 0.9 * medium
    assert soft < 1.05 * max(closed, medium)


def test_an_open_mouth_shows_teeth_then_the_dark(portrait: Portrait) -> None:
    column = middle(portrait, AH).mean(1)
    tooth, dark = int(column[:14].argmax()), int(column[4:30].argmin()) + 4
    assert tooth < dark and column[dark] < 0.5 * column[tooth]


def test_the_teeth_of_the_picture_are_used_where_it_shows_them(
    portrait: Portrait, finder: FaceFinder
) -> None:
    smile = read_picture(EXAMPLES / "portrait.png", AvatarConfig())
    assert prepared(smile, finder).model.interior.own_teeth
    assert not portrait.model.interior.own_teeth


def test_the_mouth_of_a_blurred_picture_is_blurred(
    portrait: Portrait, image: Image, finder: FaceFinder
) -> None:
    soft = prepared(np.asarray(cv2.GaussianBlur(image, (0, 0), 2), np.uint8), finder)
    steps = [
        np.abs(np.diff(middle(face, AH).astype(int), axis=0)).max() for face in (portrait, soft)
    ]
    assert steps[1] < 0.75 * steps[0]
