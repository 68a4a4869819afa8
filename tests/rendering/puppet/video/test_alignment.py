"""A reference mouth is placed by the head alone, and its own lips are kept where they are shut."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lipstream.avatar.face import landmarks as lm
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from lipstream.rendering.puppet.mouth.geometry import measure_mouth
from lipstream.rendering.puppet.video.alignment import FADE_FRAMES, ReferenceFace, align
from tests.rendering.puppet.poses import EXAMPLES

if TYPE_CHECKING:
    from lipstream.media.image import Floats


@pytest.fixture(scope="module")
def face(finder: FaceFinder) -> ReferenceFace:
    image = read_picture(EXAMPLES / "portrait_closed.png", AvatarConfig())
    solid = finder.find(image)[0].landmarks.astype(np.float64)
    mouth = measure_mouth(image, solid[:, :2].astype(np.float32))
    return ReferenceFace(solid[:, :2], solid[:, 2], mouth)


def turned(face: ReferenceFace, yaw: float, pitch: float, size: float) -> Floats:
    """The face's landmarks after a turn in space, seen from afar."""
    solid = np.hstack([face.points, face.depth[:, None]])
    (cos, sin), (up, nod) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch))
    around = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    forwards = np.array([[1, 0, 0], [0, up, -nod], [0, nod, up]])
    middle = solid.mean(0)
    seen = (solid - middle) @ (around @ forwards).T * size + middle + (7, -4, 0)
    return np.asarray(seen[:, :2], np.float32)


def opened(points: Floats, gap: float) -> Floats:
    """The points with lower lip and chin lowered by `gap` pixels."""
    moved = points.copy()
    lower = {*lm.INNER_LOWER_LIP, *lm.OUTER_LOWER_LIP, *lm.MIDDLE_LOWER_LIP}
    corners = {*lm.INNER_UPPER_LIP, *lm.OUTER_UPPER_LIP, *lm.MIDDLE_UPPER_LIP}
    moved[[*(lower - corners), 148, 152, 377], 1] += gap
    return moved


@pytest.mark.parametrize(("yaw", "pitch", "size"), [(0.2, 0, 1), (0, -0.15, 1.2), (-0.2, 0.1, 0.8)])
def test_a_turned_head_carries_its_mouth(
    face: ReferenceFace, yaw: float, pitch: float, size: float
) -> None:
    points = turned(face, yaw, pitch, size)
    (found,) = align(face, [points])
    placed = found.head.place(face.points, face.depth)
    lips = list(lm.LIPS)
    assert np.abs(placed[lips] - points[lips]).max() < 0.5
    assert np.abs(found.head.take_back(placed, face.depth) - face.points).max() < 0.01
    assert found.jaw == pytest.approx(0, abs=0.01)


def test_the_map_of_the_lips_is_that_of_the_head(face: ReferenceFace) -> None:
    (found,) = align(face, [turned(face, 0.15, 0.1, 1.0)])
    flat = found.head.flattened(face.lip_plane)
    lips = face.points[list(lm.LIPS)]
    shown = lips @ flat[:, :2].T + flat[:, 2]
    placed = found.head.place(lips, face.depth[list(lm.LIPS)])
    assert np.abs(shown - placed).max() < 0.05 * face.mouth.width


def test_words_move_the_jaw_but_not_the_place_of_the_mouth(face: ReferenceFace) -> None:
    shut = face.points.astype(np.float32)
    gap = 0.25 * face.mouth.width
    frames = [opened(shut, gap * (index // 6 % 2)) for index in range(48)]
    found = align(face, frames)
    offsets, shifts = (
        np.array([getattr(one, name) for one in each])
        for each, name in (([one.head for one in found], "offset"), (found, "shift"))
    )
    assert np.ptp(offsets, 0).max() < 0.01
    assert np.ptp(shifts, 0).max() < 0.02 * face.mouth.width
    assert np.ptp([one.jaw for one in found]) == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize(("fps", "fade"), [(25, FADE_FRAMES), (50, 2 * FADE_FRAMES)])
def test_own_lips_fade_in_and_out_around_words(face: ReferenceFace, fps: int, fade: int) -> None:
    shut = face.points.astype(np.float32)
    frames = [opened(shut, 0.2 * face.mouth.width * (30 <= index < 40)) for index in range(70)]
    weights = [found.redrawn for found in align(face, frames, Fraction(fps))]
    assert weights[30:40] == [1.0] * 10
    away = 30 - 2 * fade
    assert weights[:away] == weights[70 - away :] == [0.0] * away
    assert max(np.abs(np.diff(weights))) < 0.1
