from __future__ import annotations

import numpy as np
import pytest

from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from lipstream.score.colour import lip_colour, mouth_tint
from tests.score.conftest import PORTRAIT


def test_a_lower_face_of_another_colour_is_noticed() -> None:
    image = read_picture(PORTRAIT, AvatarConfig())
    points = FaceFinder().find(image)[0].landmarks
    painted = image.astype(np.int16)
    painted[int(points[2, 1]) :] += np.array([12, 0, -12], np.int16)
    sepia = np.clip(painted, 0, 255).astype(np.uint8)
    assert mouth_tint(sepia, points) > mouth_tint(image, points) + 4
    darker = (image * 0.7).astype(np.uint8)
    assert mouth_tint(darker, points) == pytest.approx(mouth_tint(image, points), abs=2)
    change = lip_colour(sepia, points) - lip_colour(image, points)
    assert change == pytest.approx([12, 0, -12], abs=3)
