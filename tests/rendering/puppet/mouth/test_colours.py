"""The colours of the mouth: those of the picture, whatever its light."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from lipstream.rendering.puppet.mouth.colours import LUMA, MouthColours, eye_white

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

PARTS = ("tooth", "cavity", "gum", "tongue")


def grey(image: Image) -> Image:
    return np.repeat((image @ LUMA).astype(np.uint8)[..., None], 3, 2)


def lit(image: Image, light: tuple[float, float, float]) -> Image:
    return np.asarray(image * np.array(light), np.uint8)


def test_a_grey_picture_has_a_grey_mouth(image: Image, points: Floats) -> None:
    colours = MouthColours.of(grey(image), points)
    for part in PARTS:
        assert np.ptp(getattr(colours, part)) < 0.01


def test_a_sepia_print_has_no_red_mouth(image: Image, points: Floats) -> None:
    sepia = lit(grey(image), (1.0, 0.84, 0.6))
    colours = MouthColours.of(sepia, points)
    for part in ("cavity", "gum", "tongue"):
        red, green, blue = getattr(colours, part)
        assert red > green > blue and green > 0.6 * red


def test_flesh_is_redder_than_lips_and_darker_inside(image: Image, points: Floats) -> None:
    colours = MouthColours.of(image, points)
    red, green, blue = colours.tongue
    assert red > 1.3 * green and red > 1.3 * blue
    assert colours.cavity @ LUMA < 0.5 * colours.tongue @ LUMA


@pytest.mark.parametrize("light", [(1.0, 1.0, 1.0), (0.4, 0.4, 0.4), (1.0, 0.9, 0.55)])
def test_teeth_stand_in_the_light_of_the_picture(
    image: Image, points: Floats, light: tuple[float, float, float]
) -> None:
    picture = lit(image, light)
    tooth, white = MouthColours.of(picture, points).tooth, eye_white(picture, points)
    assert white is not None
    assert 0.8 * white @ LUMA < tooth @ LUMA < 1.1 * white @ LUMA
    # The tint is that of the light, and no picture has teeth redder than its skin.
    assert tooth[0] >= tooth[1] >= tooth[2]
    assert tooth[2] / tooth[0] < light[2] / light[0] + 0.1


def test_eyes_without_a_white_leave_the_skin_to_measure(image: Image, points: Floats) -> None:
    dark = image.copy()
    rows = slice(int(points[159, 1]) - 12, int(points[145, 1]) + 12)
    dark[rows] = dark[rows] // 4
    tooth, skin = MouthColours.of(dark, points).tooth @ LUMA, image[200:230, 230:260].mean()
    assert 0.5 * skin < tooth < 1.25 * skin


@pytest.mark.parametrize("left", [-60, -2000])
def test_a_face_over_the_border_has_colours_too(image: Image, points: Floats, left: int) -> None:
    outside = points.copy()
    outside[:, 0] += left - points[:, 0].min()
    assert (eye_white(image, outside) is None) == (left == -2000)
    colours = MouthColours.of(image, outside)
    assert 0 < colours.cavity @ LUMA < colours.tongue @ LUMA < colours.tooth @ LUMA <= 245
