"""Sharpness and grain of a picture, measured around its mouth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from lipstream.rendering.puppet.mouth.texture import MAX_GRAIN, Texture

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image


@pytest.mark.parametrize("blur", [1.5, 2.5])
def test_the_blur_of_a_picture_is_found(image: Image, points: Floats, blur: float) -> None:
    sharp = Texture.of(image, points).blur
    found = Texture.of(np.asarray(cv2.GaussianBlur(image, (0, 0), blur), np.uint8), points).blur
    assert found == pytest.approx(np.hypot(sharp, blur), rel=0.25)


def test_grain_is_as_strong_as_in_the_picture(image: Image, points: Floats) -> None:
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), 2), np.uint8)
    random = np.random.default_rng(5)
    noisy = np.clip(smooth + random.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    assert Texture.of(smooth, points).grain.std() < 1.5
    # The finest detail of noise of 4 grey levels.
    assert 2 < Texture.of(noisy, points).grain.std() < 4


def test_spots_are_no_grain(image: Image, points: Floats) -> None:
    spotted = image.copy()
    spotted[::3, ::3] = 0
    assert Texture.of(spotted, points).grain.std() < 1.5 * MAX_GRAIN


def test_grain_covers_any_size_and_stays_grey(image: Image, points: Floats) -> None:
    grey = cv2.merge([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)] * 3).astype(np.uint8)
    texture = Texture.of(grey, points)
    for size in ((3, 5), (40, 200), (150, 20)):
        grained = texture.add_grain(np.full((*size, 3), 128, np.float32))
        assert grained.shape == (*size, 3)
        assert np.ptp(grained, axis=2).max() < 1e-3


def test_a_face_outside_of_the_picture_has_no_grain(image: Image, points: Floats) -> None:
    texture = Texture.of(image, points + np.float32(2000))
    assert not texture.grain.any()
