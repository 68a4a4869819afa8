from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.landmarks import CHEEKS
from lipstream.avatar.builder import build_avatar
from lipstream.avatar.face import landmarks as lm
from lipstream.errors import OptionError
from lipstream.media.image import Box
from lipstream.rendering.musetalk.compositing.blend import crop_square
from lipstream.rendering.musetalk.preprocess import masks
from lipstream.rendering.musetalk.preprocess.face_box import face_box, landmarks_68
from lipstream.rendering.musetalk.preprocess.masks import MODES, labels_from_landmarks, repaint_mask

ROOT = Path(__file__).parents[3]


def test_an_unknown_mask_is_refused_in_one_sentence() -> None:
    with pytest.raises(OptionError, match="no mask 'chin'; use one of raw, jaw, neck"):
        repaint_mask(np.zeros((512, 512), np.uint8), "chin")


def test_skin_grows_up_more_than_down_and_never_over_the_nose() -> None:
    labels = np.zeros((512, 512), np.uint8)
    labels[200:300, 200:300] = masks.SKIN
    labels[220:240, 250:260] = masks.NOSE
    mask = repaint_mask(labels, "jaw", (150, 150))
    rows = np.flatnonzero(mask[:, 250])
    assert (rows[0], rows[-1]) == (200 - 16, 299 + 6)
    assert not mask[220:240, 250:260].any()


def test_cheeks_are_worn_away_only_outside_their_width() -> None:
    labels = np.full((512, 512), 0, np.uint8)
    labels[200:300, 100:400] = masks.SKIN
    mask = repaint_mask(labels, "jaw", (90, 90))
    columns = np.flatnonzero(mask[250])
    # Dilating adds ten columns to either side, eroding twice takes seventeen each time.
    assert (columns[0], columns[-1]) == (100 - 10 + 34, 399 + 10 - 34)
    assert repaint_mask(labels, "jaw", (300, 300))[250].sum() // 255 == 300 + 20


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """The landmarks of the portrait in units of the 512 square, and their labels."""
    found = build_avatar(ROOT / "data" / "portrait.png").frames[0].landmarks
    assert found is not None
    box = face_box(landmarks_68(found))
    assert box is not None
    square = crop_square(box)
    unit = (found - (square.left, square.top)) * (512 / square.width)
    return unit, labels_from_landmarks(found, square)


def at(labels: np.ndarray, point: np.ndarray) -> int:
    return int(labels[int(point[1]), int(point[0])])


def test_landmarks_draw_what_the_parser_would_see(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    unit, labels = drawn
    upper = (unit[lm.UPPER_LIP_CENTRE] + unit[0]) / 2
    lower = (unit[lm.LOWER_LIP_CENTRE] + unit[17]) / 2
    assert at(labels, upper) == masks.UPPER_LIP
    assert at(labels, lower) == masks.LOWER_LIP
    assert at(labels, unit[lm.NOSE_TIP]) == masks.NOSE
    assert {at(labels, unit[point]) for point in CHEEKS} == {masks.SKIN}
    assert at(labels, (unit[159] + unit[145]) / 2) == masks.RIGHT_EYE
    assert at(labels, unit[lm.CHIN] + (0, 6)) == 0 == at(labels, unit[lm.RIGHT_EDGE] - (6, 0))


@pytest.mark.parametrize("mode", MODES)
def test_the_drawn_mask_holds_lips_and_chin(
    drawn: tuple[np.ndarray, np.ndarray], mode: str
) -> None:
    unit, labels = drawn
    mask = repaint_mask(labels, mode)
    assert all(at(mask, unit[point]) == 255 for point in lm.LIPS)
    assert at(mask, unit[lm.CHIN] - (0, 4)) == 255
    assert at(mask, unit[lm.NOSE_TIP]) == 0
    assert at(mask, unit[lm.CHIN] + (0, 12)) == 0


def test_landmarks_beyond_the_picture_are_drawn_where_they_are() -> None:
    points = np.full((468, 2), 10.0, np.float32)
    points[list(lm.FACE_OVAL)] = [(-40, -40)] * 18 + [(60, 60)] * 18
    square = crop_square(Box(-10, -10, 30, 30))
    assert labels_from_landmarks(points, square).shape == (512, 512)
