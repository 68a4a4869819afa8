"""A moustache that hangs over the mouth bounds the upper layer; bare lips keep their own edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from lipstream.avatar.face import landmarks as lm
from lipstream.rendering.puppet.mouth.geometry import measure_mouth
from lipstream.rendering.puppet.mouth.layers import UPPER, build_mouth_model
from lipstream.rendering.puppet.mouth.moustache import measure_moustache

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image


@pytest.fixture(scope="module")
def hairy(image: Image, points: Floats) -> Image:
    """The portrait with strands of brown hair from the nose down over the upper lip."""
    grown, random = image.copy(), np.random.default_rng(3)
    mouth = measure_mouth(image, points)
    nose = mouth.axes.to_face(points[lm.NOSE_BASE])[1]
    for x in random.uniform(-0.55, 0.55, 260) * mouth.width:
        seam = np.interp(x, mouth.columns, mouth.seam)
        top = nose + random.uniform(0.2, 0.7) * (seam - nose)
        ends = mouth.axes.to_picture(np.array([[0.9 * x, top], [x, seam + random.uniform(-1, 1)]]))
        shade = random.uniform(0.5, 1.1)
        colour = tuple(int(shade * value) for value in (120, 84, 52))
        start, end = (tuple(np.round(16 * place).astype(int).tolist()) for place in ends)
        cv2.line(grown, start, end, colour, 1, cv2.LINE_AA, 4)
    return grown


def test_bare_lips_have_no_moustache(image: Image, points: Floats) -> None:
    assert not measure_moustache(image, points, measure_mouth(image, points)).any()


def test_hair_hangs_over_the_mouth_in_strands(hairy: Image, points: Floats) -> None:
    mouth = measure_mouth(hairy, points)
    hang = measure_moustache(hairy, points, mouth) / mouth.width
    assert 0.01 < hang.mean() < 0.05 and hang.max() < 0.07
    assert hang[60:140].std() > 0.005
    assert hang[0] == hang[-1] == 0


def test_the_upper_layer_ends_with_the_hair(image: Image, hairy: Image, points: Floats) -> None:
    edges = [
        build_mouth_model(picture, points, measure_mouth(hairy, points)).flow.edges[UPPER]
        for picture in (image, hairy)
    ]
    assert (edges[1] >= edges[0]).all() and (edges[1] > edges[0] + 1).any()


def test_a_grey_or_a_cropped_picture_is_measured_too(hairy: Image, points: Floats) -> None:
    grey = cv2.merge([cv2.cvtColor(hairy, cv2.COLOR_RGB2GRAY)] * 3).astype(np.uint8)
    assert measure_moustache(grey, points, measure_mouth(grey, points)).any()
    bottom = int(points[lm.LOWER_LIP_CENTRE, 1]) + 2
    cropped = np.ascontiguousarray(hairy[:bottom])
    assert measure_moustache(cropped, points, measure_mouth(cropped, points)).any()
