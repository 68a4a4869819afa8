"""The frame that lends its mouth is closed, sharp, and looks like the others."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipstream.avatar.avatar import AvatarFrame
from lipstream.avatar.builder import build_avatar
from lipstream.avatar.face.finder import FaceFinder
from lipstream.rendering.puppet.portrait import prepare_portrait
from lipstream.rendering.puppet.video.reference import choose_reference
from tests.rendering.puppet.poses import EXAMPLES, FPS, STILL, pose


@pytest.fixture(scope="module")
def words(finder: FaceFinder) -> list[AvatarFrame]:
    """The portrait with its jaw ever higher, closed in the last frame alone."""
    still = build_avatar(EXAMPLES / "portrait_closed.png").frames[0]
    assert still.landmarks is not None
    portrait = prepare_portrait(still.pixels, still.landmarks)
    frames = []
    for jaw in (0.9, 0.7, 0.5, 0.35, 0.0):
        picture = portrait.render(0, FPS, pose(jaw=jaw), STILL)
        frames.append(AvatarFrame(picture, finder.find(picture)[0].landmarks[:, :2]))
    return frames


def test_the_most_closed_mouth_is_chosen(words: list[AvatarFrame]) -> None:
    assert choose_reference(words) is words[-1]


def test_a_blurred_or_stained_frame_is_not_chosen(words: list[AvatarFrame]) -> None:
    clean = words[-1]
    blurred = AvatarFrame(np.asarray(cv2.GaussianBlur(clean.pixels, (0, 0), 3)), clean.landmarks)
    assert clean.landmarks is not None
    stained = clean.pixels.copy()
    x, y = (int(value) for value in clean.landmarks[200])  # below the lower lip
    stained[y - 8 : y + 8, x - 20 : x + 20] = 255
    frames = [AvatarFrame(stained, clean.landmarks), blurred, *words]
    assert choose_reference(frames) is clean
