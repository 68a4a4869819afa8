from __future__ import annotations

from pathlib import Path

import numpy as np

from lipstream.avatar.builder import build_avatar
from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Box
from lipstream.rendering.musetalk.preprocess.face_box import (
    IBUG,
    MIDDLE,
    face_box,
    landmarks_68,
    with_margin,
)

ROOT = Path(__file__).parents[3]


def points(left: float, right: float, middle: float, bottom: float) -> np.ndarray:
    """Sixty-eight points of which only four matter."""
    face = np.full((68, 2), ((left + right) / 2, middle), np.float32)
    face[0], face[16], face[8] = (left, middle), (right, middle), (left, bottom)
    return face


def test_the_box_reaches_as_far_above_the_nose_as_below() -> None:
    assert face_box(points(10.9, 60.9, 40.9, 70.9)) == Box(10, 10, 60, 70)
    assert face_box(points(10, 60, 40, 90)) == Box(10, 0, 60, 90)


def test_a_face_that_leaves_the_picture_keeps_its_box_without_a_detector() -> None:
    leaving = points(-20, 30, 40, 70)
    detected = Box(0, 5, 31, 72)
    assert face_box(leaving) == Box(-20, 10, 30, 70)
    assert face_box(leaving, detected) == detected


def test_no_box_for_a_face_without_area() -> None:
    assert face_box(points(30, 30, 40, 70)) is None
    assert face_box(points(10, 60, 40, 40)) is None


def test_the_margin_ends_at_the_picture() -> None:
    assert with_margin(Box(1, 2, 3, 90), 10, 240).bottom == 100
    assert with_margin(Box(1, 2, 3, 90), 10, 95).bottom == 95


def test_the_mesh_is_mapped_to_sixty_eight_points_of_the_same_face() -> None:
    found = build_avatar(ROOT / "data" / "portrait.png").frames[0].landmarks
    assert found is not None
    face = landmarks_68(found)
    assert face.shape == (68, 2) and len(set(IBUG)) == 68
    jaw, chin = face[:17], face[8]
    assert (np.diff(jaw[1:16, 0]) > 0).all() and chin[1] == face[:, 1].max()
    assert face[27, 1] < face[28, 1] < face[MIDDLE, 1] < face[30, 1] < face[33, 1]
    # The spacing of the bridge is even, so its third point is where upstream expects it.
    bridge = np.diff(face[27:31, 1])
    assert bridge.max() < 2 * bridge.min()
    box = face_box(face)
    assert box is not None
    mouth = found[[lm.MOUTH_RIGHT, lm.MOUTH_LEFT], 1]
    middle = (box.top + box.bottom) / 2
    assert middle < mouth.min() and middle < found[lm.NOSE_BASE, 1]
    assert box.left <= found[lm.RIGHT_EDGE, 0] and found[lm.LEFT_EDGE, 0] - 1 <= box.right
