"""The measured mouth: what is open, what is shut, and teeth that the mesh takes for lips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.rendering.puppet.mouth.geometry import measure_mouth, smooth_seam
from lipstream.rendering.puppet.portrait import prepare_portrait
from tests.rendering.puppet.poses import FPS, REST, STILL

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

WHITE = (228, 216, 204)


def with_teeth(image: Image, points: Floats, first: int = 25, last: int = 175) -> Image:
    """Paint a pale strip on the upper lip, down to the lips' line, from column to column."""
    mouth, height = measure_mouth(image, points), 0.09
    inner = slice(first, last)
    line = np.stack([mouth.columns[inner], mouth.seam[inner]], -1)
    above = line - (0, height * mouth.width)
    outline = mouth.axes.to_picture(np.concatenate([line, above[::-1]]))
    painted = image.copy()
    cv2.fillPoly(painted, [np.round(outline * 16).astype(np.int32)], WHITE, cv2.LINE_AA, 4)
    return painted


def pale(image: Image, points: Floats) -> int:
    """Count the pixels as white as the strip of `with_teeth` around the mouth."""
    x, y = points[[lm.UPPER_LIP_CENTRE, lm.LOWER_LIP_CENTRE]].mean(0).astype(int)
    near = image[y - 12 : y + 12, x - 20 : x + 20].astype(int)
    return int((np.abs(near - WHITE).max(-1) < 12).sum())


def test_a_closed_mouth_is_closed(image: Image, points: Floats) -> None:
    assert not measure_mouth(image, points).is_open


def test_bare_teeth_open_a_mouth_that_the_mesh_calls_closed(image: Image, points: Floats) -> None:
    painted = with_teeth(image, points)
    mouth = measure_mouth(painted, points)
    assert mouth.is_open
    gap = (mouth.upper_gap + mouth.lower_gap)[80:120].mean() / mouth.width
    assert 0.07 < gap < 0.16


def test_closed_lips_leave_no_teeth_of_the_picture(image: Image, points: Floats) -> None:
    painted = with_teeth(image, points)
    rest = prepare_portrait(painted, points).render(0, FPS, REST, STILL)
    assert pale(painted, points) > 100
    assert pale(rest, points) < 10


def test_a_gleam_on_a_lip_is_no_row_of_teeth(image: Image, points: Floats) -> None:
    gleaming = with_teeth(image, points, 80, 120)
    assert not measure_mouth(gleaming, points).is_open


def test_the_smooth_seam_leaves_out_the_bow(image: Image, points: Floats) -> None:
    mouth = measure_mouth(image, points)
    smooth = np.polyval(smooth_seam(mouth), mouth.columns)
    inner = slice(30, 170)
    assert np.abs(smooth - mouth.seam)[inner].max() < 0.04 * mouth.width
    # A parabola bends one way only.
    assert len(np.unique(np.sign(np.diff(smooth, 2)))) == 1
