from __future__ import annotations

import numpy as np
import pytest

from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from lipstream.media.image import Floats, Image
from lipstream.score.colour import KEPT, lip_colour, mouth_tint
from lipstream.score.sharpness import is_comparable
from tests.score.conftest import PORTRAIT


@pytest.fixture(scope="module")
def image() -> Image:
    return read_picture(PORTRAIT, AvatarConfig())


@pytest.fixture(scope="module")
def points(image: Image) -> Floats:
    return FaceFinder().find(image)[0].landmarks


def test_a_lower_face_of_another_colour_is_noticed(image: Image, points: Floats) -> None:
    painted = image.astype(np.int16)
    painted[int(points[2, 1]) :] += np.array([12, 0, -12], np.int16)
    sepia = np.clip(painted, 0, 255).astype(np.uint8)
    assert mouth_tint(sepia, points) > mouth_tint(image, points) + 4
    darker = (image * 0.7).astype(np.uint8)
    assert mouth_tint(darker, points) == pytest.approx(mouth_tint(image, points), abs=2)
    change = lip_colour(sepia, points) - lip_colour(image, points)
    assert change == pytest.approx([12, 0, -12], abs=3)


def test_a_mouth_beyond_the_edge_of_the_picture_is_not_compared(
    image: Image, points: Floats
) -> None:
    assert is_comparable(image, points)
    lips, brow = points[13, 1], points[9, 1]
    assert not is_comparable(image[: round(lips) - 30], points)
    assert not is_comparable(image, points - np.array([0, brow + 2000, 0], np.float32))


def test_skin_beyond_the_edge_is_read_at_the_edge(image: Image, points: Floats) -> None:
    """Neither an error, nor most of the picture, which negative places would give."""
    striped = np.full_like(image, (200, 40, 40))
    striped[:8] = striped[-8:] = 128
    cheeks_above = points - np.array([0, points[list(KEPT), 1].max() + 8, 0], np.float32)
    assert mouth_tint(striped, cheeks_above) > 40
    chin_below = points + np.array([0, len(image) - points[57, 1] + 8, 0], np.float32)
    assert mouth_tint(striped, chin_below) > 40
