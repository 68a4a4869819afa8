"""A picture with an open mouth is closed: no teeth stay between the lips, and the chin follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from lipstream.avatar.face import landmarks as lm
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.face.openness import openness
from lipstream.rendering.puppet.portrait import prepare_portrait
from tests.rendering.puppet.poses import FPS, REST, STILL, pose

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image
    from lipstream.rendering.puppet.pose import Pose


def drawn(finder: FaceFinder, image: Image, spoken: Pose) -> tuple[Image, Floats]:
    """The face of `image` in a pose, and the landmarks of that picture."""
    points = finder.find(image)[0].landmarks[:, :2]
    picture = prepare_portrait(image, points).render(0, FPS, spoken, STILL)
    return picture, finder.find(picture)[0].landmarks[:, :2]


@pytest.mark.parametrize("jaw", [0.3, 0.45])
def test_an_opened_mouth_is_closed_again(image: Image, finder: FaceFinder, jaw: float) -> None:
    opened, wide = drawn(finder, image, pose(jaw=jaw))
    shut, points = drawn(finder, opened, REST)
    assert openness(wide) > 0.1 > 1.7 * openness(points)
    # Neither teeth nor the dark: along the lip line everything is about as bright as lips.
    line = np.linspace(points[lm.MOUTH_RIGHT], points[lm.MOUTH_LEFT], 41)[8:-8]
    line[:, 1] += points[[lm.UPPER_LIP_CENTRE, lm.LOWER_LIP_CENTRE], 1].mean() - line[:, 1].mean()
    x, y = line.round().astype(int).T
    seen = shut[y, x].astype(int)
    assert (seen[:, 0] - seen[:, 2] > 15).mean() > 0.8


def test_a_dropped_chin_rises_as_the_mouth_is_closed(image: Image, finder: FaceFinder) -> None:
    opened, wide = drawn(finder, image, pose(jaw=0.95))
    _, points = drawn(finder, opened, REST)
    assert points[lm.CHIN, 1] < wide[lm.CHIN, 1] - 0.02 * lm.mouth_width(wide)
