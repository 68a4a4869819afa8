from __future__ import annotations

import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from lipstream.score.syncnet.face_crops import FILL, SIDE, crop, face_crops
from tests.score.conftest import PORTRAIT


def test_the_mouth_is_in_the_lower_half_of_a_square() -> None:
    image = read_picture(PORTRAIT, AvatarConfig())
    finder = FaceFinder()
    faces = list(face_crops(finder, [image] * 3))
    assert [face.shape for face in faces] == [(SIDE, SIDE, 3)] * 3
    (seen,) = finder.find(faces[0])
    x, y = seen.landmarks[[lm.UPPER_LIP_CENTRE, lm.LOWER_LIP_CENTRE], :2].mean(axis=0)
    assert abs(x - SIDE / 2) < 12 and 0.45 * SIDE < y < 0.65 * SIDE


def test_a_picture_without_a_face_is_not_left_out() -> None:
    grey = np.full((90, 160, 3), 200, np.uint8)
    (face,) = face_crops(FaceFinder(), [grey])
    assert face.shape == (SIDE, SIDE, 3)


def test_what_lies_beyond_the_picture_is_grey() -> None:
    image = np.full((100, 100, 3), 255, np.uint8)
    corner = crop(image, np.array([0, 0, 30], np.float32))
    assert (corner[0, 0] == FILL).all() and (corner[-1, -1] == 255).all()
