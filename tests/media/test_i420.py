"""Colours reach the encoders as the standards say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.media.i420 import BT601, BT709, ColourMatrix, pad_to_even, to_i420

if TYPE_CHECKING:
    from lipstream.media.image import Image

# Shares of red and blue in luma, and what blue and red less luma are divided by: ITU-R BT.601, 709.
PUBLISHED = [(BT601, 0.299, 0.114, 1.772, 1.402), (BT709, 0.2126, 0.0722, 1.8556, 1.5748)]
BOTH = pytest.mark.parametrize("matrix", [BT601, BT709], ids=["601", "709"])
channel = st.integers(0, 255)


def plain(colour: tuple[int, int, int]) -> Image:
    return np.full((2, 2, 3), colour, np.uint8)


@pytest.mark.parametrize("standard", PUBLISHED, ids=["601", "709"])
@given(channel, channel, channel)
def test_a_plain_colour_has_the_luma_and_chroma_of_the_standard(
    standard: tuple[ColourMatrix, float, float, float, float], red: int, green: int, blue: int
) -> None:
    matrix, of_red, of_blue, blueness, redness = standard
    planes = to_i420(np.full((4, 6, 3), (red, green, blue), np.uint8), matrix)
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    expected = (
        16 + 219 * luma / 255,
        128 + 224 * (blue - luma) / blueness / 255,
        128 + 224 * (red - luma) / redness / 255,
    )
    parts = planes[:4], planes[4:].reshape(-1)[:6], planes[4:].reshape(-1)[6:]
    for part, value in zip(parts, expected, strict=True):
        # Half a step of rounding, and a little for OpenCV's fixed-point sums.
        assert np.abs(part.astype(float) - value).max() <= 0.65


@BOTH
@pytest.mark.parametrize(("colour", "luma"), [((0, 0, 0), 16), ((255, 255, 255), 235)])
def test_the_range_is_limited(
    colour: tuple[int, int, int], luma: int, matrix: ColourMatrix
) -> None:
    assert to_i420(plain(colour), matrix).ravel().tolist() == [luma] * 4 + [128, 128]


@BOTH
def test_chroma_is_the_mean_of_four_pixels(matrix: ColourMatrix) -> None:
    picture = plain((0, 0, 0))
    picture[0, 0] = (255, 0, 0)
    alone = int(to_i420(plain((255, 0, 0)), matrix).ravel()[5])
    assert abs((int(to_i420(picture, matrix).ravel()[5]) - 128) * 4 - (alone - 128)) <= 4


def test_live_colours_are_those_that_opencv_gives_pictures_of_one_colour() -> None:
    """RGB that comes to a live encoder is converted by OpenCV: both must agree."""
    for colour in np.random.default_rng(1).integers(0, 256, (50, 3), np.uint8):
        picture = np.full((4, 4, 3), colour, np.uint8)
        ours, theirs = to_i420(picture, BT601), cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
        assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_odd_sides_get_their_last_row_and_column_twice() -> None:
    picture = np.random.default_rng(2).integers(0, 256, (3, 5, 3), np.uint8)
    found = pad_to_even(picture)
    assert found.shape == (4, 6, 3)
    assert (found[:3, :5] == picture).all()
    assert (found[3, :5] == picture[2]).all() and (found[:3, 5] == picture[:, 4]).all()
    assert pad_to_even(found) is found
