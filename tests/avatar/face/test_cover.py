from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from lipstream.avatar.face.cover import is_mouth_covered
from tests.avatar.scenes import bearded, masked

if TYPE_CHECKING:
    from lipstream.avatar.face.finder import Face
    from lipstream.media.image import Image

BLACK, WHITE, RED = (28, 25, 24), (225, 224, 221), (150, 80, 40)
BLUE, GREEN = (120, 170, 215), (110, 170, 140)


@pytest.mark.parametrize("colour", [BLACK, WHITE, BLUE, GREEN])
def test_masks_cover_a_mouth(portrait: Image, face: Face, colour: tuple[int, int, int]) -> None:
    assert is_mouth_covered(masked(portrait, face.landmarks, colour), face.landmarks)


@pytest.mark.parametrize("colour", [BLACK, WHITE, RED])
def test_beards_do_not(portrait: Image, face: Face, colour: tuple[int, int, int]) -> None:
    assert not is_mouth_covered(bearded(portrait, face.landmarks, colour), face.landmarks)


def test_nor_do_light_and_colour(portrait: Image, face: Face) -> None:
    grey = cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, axis=2)
    shade = np.linspace(1.2, 0.3, len(portrait))[:, None, None]
    for picture in (portrait, grey, portrait * 0.2, portrait * 1.7, portrait * shade):
        image = np.clip(picture, 0, 255).astype(np.uint8)
        assert not is_mouth_covered(image, face.landmarks)


def test_a_face_outside_the_picture_is_not_covered(portrait: Image, face: Face) -> None:
    assert not is_mouth_covered(portrait, face.landmarks + np.float32(1000))
