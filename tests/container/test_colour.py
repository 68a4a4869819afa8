"""Colours reach the encoder as BT.709 says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.container.colour import to_i420

channel = st.integers(0, 255)


@given(channel, channel, channel)
def test_a_plain_colour_has_the_luma_and_chroma_of_the_standard(
    red: int, green: int, blue: int
) -> None:
    planes = to_i420(np.full((4, 6, 3), (red, green, blue), np.uint8))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    expected = (
        16 + 219 * luma / 255,
        128 + 224 * (blue - luma) / 1.8556 / 255,
        128 + 224 * (red - luma) / 1.5748 / 255,
    )
    parts = planes[:4], planes[4:].reshape(-1)[:6], planes[4:].reshape(-1)[6:]
    for part, value in zip(parts, expected, strict=True):
        # Half a step of rounding, and a little for OpenCV's fixed-point sums.
        assert np.abs(part.astype(float) - value).max() <= 0.65


@pytest.mark.parametrize(("colour", "luma"), [((0, 0, 0), 16), ((255, 255, 255), 235)])
def test_the_range_is_limited(colour: tuple[int, int, int], luma: int) -> None:
    planes = to_i420(np.full((2, 2, 3), colour, np.uint8))
    assert planes.ravel().tolist() == [luma] * 4 + [128, 128]


def test_chroma_is_the_mean_of_four_pixels() -> None:
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[0, 0] = (255, 0, 0)
    alone = to_i420(np.full((2, 2, 3), (255, 0, 0), np.uint8)).ravel()[5]
    assert abs((int(to_i420(picture).ravel()[5]) - 128) * 4 - (int(alone) - 128)) <= 4
