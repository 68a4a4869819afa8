"""A still portrait that talks: what moves, what must not, and that a frame is a pure function."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lipstream.avatar.face import landmarks as lm
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig, MotionConfig
from lipstream.rendering.puppet.blink import eye_boxes
from lipstream.rendering.puppet.portrait import ZOOM, Portrait, prepare_portrait
from lipstream.rendering.puppet.warp import grow
from tests.rendering.puppet.poses import AH, EXAMPLES, FPS, REST, STILL, lip_gap, pose

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

LIVELY = MotionConfig()
BLINK = 40  # a frame of seed 0 with the eyes shut


M, OO, EE = pose(jaw=0.12, close=1), pose(jaw=0.22, round=1), pose(jaw=0.2, wide=0.85, teeth=0.35)


@pytest.fixture(scope="module", params=["portrait_closed.png", "portrait.png"])
def portrait(request: pytest.FixtureRequest, finder: FaceFinder) -> Portrait:
    image = read_picture(EXAMPLES / request.param, AvatarConfig())
    return prepare_portrait(image, finder.find(image)[0].landmarks[:, :2])


def test_rest_is_drawn_the_short_way_and_looks_the_same(portrait: Portrait) -> None:
    """Lips that touch in the picture are left alone; for others the layers are kept."""
    assert (portrait.rest is None) != portrait.model.mouth.is_open
    anew = replace(portrait, rest=portrait.model.layers(REST, opening=1.0, zoom=ZOOM))
    for index in (0, BLINK, 77, 200, 333):
        short, long = (face.render(index, FPS, REST, LIVELY) for face in (portrait, anew))
        assert np.array_equal(short, long)


def points(finder: FaceFinder, picture: Image) -> Floats:
    return finder.find(picture)[0].landmarks


def test_the_jaw_opens_and_lips_close(portrait: Portrait, finder: FaceFinder) -> None:
    opened, rest, pressed = (
        lip_gap(finder, portrait.render(0, FPS, shown, STILL)) for shown in (AH, REST, M)
    )
    assert opened > rest + 0.08
    assert rest < 0.05 and pressed < 0.05


def test_a_closed_mouth_at_rest_is_the_photo_itself(finder: FaceFinder) -> None:
    image = read_picture(EXAMPLES / "portrait_closed.png", AvatarConfig())
    portrait = prepare_portrait(image, points(finder, image)[:, :2])
    assert np.array_equal(portrait.render(0, FPS, REST, STILL), image)


def test_rounding_narrows_and_spreading_widens(portrait: Portrait, finder: FaceFinder) -> None:
    widths = [
        lm.mouth_width(points(finder, portrait.render(0, FPS, shown, STILL)))
        for shown in (OO, REST, EE)
    ]
    assert widths[0] < 0.9 * widths[1] < 0.9 * widths[2]


def test_nothing_outside_the_region_changes(portrait: Portrait) -> None:
    outside = np.ones(portrait.image.shape[:2], bool)
    outside[portrait.region.slices] = False
    for index, shown in ((0, AH), (BLINK, OO), (1234, REST)):
        drawn = portrait.render(index, FPS, shown, LIVELY)
        assert np.array_equal(drawn[outside], portrait.image[outside])


def test_speech_moves_only_the_lower_face(portrait: Portrait, finder: FaceFinder) -> None:
    changed = np.abs(portrait.render(0, FPS, AH, STILL).astype(int) - portrait.image).max(-1) > 16
    rows = np.flatnonzero(changed.any(1))
    found = points(finder, portrait.image)
    assert rows.min() > found[list(lm.RIGHT_LOWER_LID), 1].max()
    assert rows.max() < found[lm.CHIN, 1] + lm.face_height(found) / 2


def test_no_seam_at_the_border_of_the_region(portrait: Portrait) -> None:
    box = portrait.region
    drawn = portrait.render(77, FPS, AH, LIVELY).astype(int)
    source = portrait.image.astype(int)
    for row in (box.top, box.bottom):
        if 0 < row < len(source):
            step = [
                np.abs(p[row, box.left : box.right] - p[row - 1, box.left : box.right]).mean()
                for p in (drawn, source)
            ]
            assert step[0] <= 1.1 * step[1] + 0.5


def test_the_eyes_close_in_a_blink(portrait: Portrait, finder: FaceFinder) -> None:
    # The mesh cannot see closed lids well; the picture can: skin is where the pupil was.
    eye = points(finder, portrait.image)[list(lm.RIGHT_UPPER_LID + lm.RIGHT_LOWER_LID), :2]
    x, y = eye.mean(0).round().astype(int)
    pupil = (slice(y - 2, y + 3), slice(x - 2, x + 3))
    config = MotionConfig(sway=False)
    awake, asleep = (portrait.render(i, FPS, REST, config)[pupil].mean() for i in (0, BLINK))
    assert asleep > awake + 40


def test_the_head_sways_by_a_little(portrait: Portrait, finder: FaceFinder) -> None:
    config = MotionConfig(blink=False)
    noses = np.array(
        [
            points(finder, portrait.render(index, FPS, REST, config))[lm.NOSE_TIP, :2]
            for index in range(0, 500, 50)
        ]
    )
    spread = np.ptp(noses, axis=0) / portrait.model.mouth.width
    assert (spread > 0.01).all() and (spread < 0.2).all()


def test_a_still_portrait_moves_mouth_and_eyes_alone(
    portrait: Portrait, finder: FaceFinder
) -> None:
    found = finder.find(portrait.image)[0].landmarks[:, :2]
    free = np.zeros(portrait.image.shape[:2], bool)
    for box in (portrait.model.flow.box, *eye_boxes(found, portrait.image)):
        free[grow(box, 1).clip(512, 512).slices] = True
    config = MotionConfig(level="still")
    for index, spoken in ((0, REST), (BLINK, REST), (BLINK, AH), (700, OO)):
        drawn = portrait.render(index, FPS, spoken, config)
        assert np.array_equal(drawn[~free], portrait.image[~free])
    asleep = portrait.render(BLINK, FPS, REST, config)
    assert not np.array_equal(asleep, portrait.render(0, FPS, REST, config))


def test_a_frame_depends_on_nothing_but_its_request(portrait: Portrait) -> None:
    first = portrait.render(333, FPS, AH, LIVELY)
    portrait.render(5, FPS, OO, LIVELY)
    again = portrait.render(333, FPS, AH, LIVELY)
    assert np.array_equal(first, again)
    assert first.dtype == np.uint8 and first.shape == portrait.image.shape
