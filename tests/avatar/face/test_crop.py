from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipstream.avatar.face.crop import RotatedSquare


def test_a_square_of_whole_pixels_is_copied_exactly() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    assert (
        RotatedSquare(20, 15, 16).sample(image, 16, cv2.BORDER_CONSTANT) == image[7:23, 12:28]
    ).all()


def test_outside_the_picture_the_border_rule_holds() -> None:
    image = np.full((20, 20, 3), 200, np.uint8)
    beyond = RotatedSquare(0, 10, 20)
    assert (beyond.sample(image, 20, cv2.BORDER_REPLICATE) == 200).all()
    assert (beyond.sample(image, 20, cv2.BORDER_CONSTANT)[:, :9] == 0).all()
    assert (RotatedSquare(-500, -500, 20).sample(image, 8, cv2.BORDER_REPLICATE) == 0).all()


@pytest.mark.parametrize("angle", [0.0, 0.4, -2.0])
@pytest.mark.parametrize("side", [60.0, 150.0])
def test_a_spot_is_seen_where_points_says(angle: float, side: float) -> None:
    image = np.zeros((300, 300, 3), np.uint8)
    cv2.circle(image, (160, 140), 6, (255, 255, 255), -1)
    square = RotatedSquare(150, 150, side, angle)
    sampled = square.sample(image, 96, cv2.BORDER_CONSTANT)[..., 0]
    rows, columns = np.nonzero(sampled > 127)
    middle = (columns.mean() + 0.5) / 96, (rows.mean() + 0.5) / 96
    seen = np.array([middle], np.float32)
    # The centre of pixel (160, 140) lies half a pixel further.
    assert square.points(seen)[0] == pytest.approx([160.5, 140.5], abs=0.3)


def test_fine_texture_is_averaged_not_aliased() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 255
    small = RotatedSquare(200, 200, 400).sample(stripes, 64, cv2.BORDER_REPLICATE)
    assert np.abs(small.astype(int) - 127).max() < 40
