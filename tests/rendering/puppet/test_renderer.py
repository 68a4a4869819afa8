"""The puppet renderer: shared by threads and streams, keeps nothing alive, takes any face."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import cv2
import numpy as np
import pytest

from lipstream.avatar.avatar import Avatar, AvatarFrame
from lipstream.avatar.builder import build_avatar
from lipstream.config import MotionConfig
from lipstream.errors import FaceError, OptionError
from lipstream.media.i420 import BT601, pad_to_even, to_i420
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.puppet.renderer import PuppetRenderer
from lipstream.rendering.registry import open_backend
from tests.fakes import blank_avatar
from tests.rendering.puppet.poses import EXAMPLES, articulation

AH = articulation(jaw=0.95, wide=0.3)


@pytest.fixture(scope="module")
def portrait() -> Avatar:
    return build_avatar(EXAMPLES / "portrait_closed.png")


def renderer() -> PuppetRenderer:
    return PuppetRenderer(Fraction(25), MotionConfig())


def turned(avatar: Avatar, matrix: np.ndarray, size: tuple[int, int]) -> Avatar:
    """The same face elsewhere: picture and landmarks moved by one (2, 3) matrix."""
    frame = avatar.frames[0]
    assert frame.landmarks is not None
    picture = cv2.warpAffine(
        frame.pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    points = (frame.landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    moved = AvatarFrame(np.asarray(picture, np.uint8), points)
    return Avatar((moved,), False, "turned", avatar.report)


def test_a_still_picture_stays_as_it_is_outside_of_its_moving_part(portrait: Avatar) -> None:
    drawn = renderer()
    part = drawn.moving_part(portrait)
    assert part is not None
    height, width = portrait.frames[0].pixels.shape[:2]
    assert part.width * part.height < 0.8 * width * height
    requests = [FrameRequest(portrait, index, AH) for index in range(0, 200, 25)]
    pictures, parts = drawn.render(requests), drawn.render_parts(requests)
    for picture, alone in zip(pictures, parts, strict=True):
        assert np.array_equal(picture[part.slices], alone)
        picture[part.slices] = portrait.frames[0].pixels[part.slices]
        assert np.array_equal(picture, portrait.frames[0].pixels)


@pytest.mark.parametrize("size", [(400, 380), (399, 381)])
def test_planes_of_a_still_picture_are_those_of_the_whole(
    portrait: Avatar, size: tuple[int, int]
) -> None:
    """Its moving part is drawn into planes that were converted once."""
    avatar = turned(portrait, np.array([[0.8, 0, 0], [0, 0.8, 0]]), size)
    requests = [FrameRequest(avatar, 3, AH), FrameRequest(avatar, 9, None)]
    planes = PuppetRenderer(Fraction(25), MotionConfig(), "i420").render(requests)
    for drawn, whole in zip(planes, renderer().render(requests), strict=True):
        assert np.array_equal(drawn, to_i420(pad_to_even(whole), BT601))


def test_threads_and_streams_share_one_renderer(portrait: Avatar) -> None:
    clip = build_avatar(EXAMPLES / "idle.mp4")
    requests = [FrameRequest((portrait, clip)[i % 2], i, AH) for i in range(12)]
    alone = renderer().render(requests)
    shared = renderer()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda request: shared.render([request])[0], requests))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("name", ["portrait_closed.png", "idle.mp4"])
def test_what_is_computed_for_an_avatar_goes_with_it(name: str) -> None:
    avatar = build_avatar(EXAMPLES / name)
    puppets = renderer()
    puppets.render([FrameRequest(avatar, 0, AH)])
    reference = weakref.ref(avatar)
    del avatar
    gc.collect()
    assert reference() is None


def test_a_request_may_name_its_own_motion(portrait: Avatar) -> None:
    lively = renderer()
    still = PuppetRenderer(Fraction(25), MotionConfig(level="still"))
    own = FrameRequest(portrait, 60, AH, motion="still")
    assert np.array_equal(lively.render([own])[0], still.render([own])[0])
    assert not np.array_equal(
        lively.render([own])[0], lively.render([FrameRequest(portrait, 60, AH)])[0]
    )


@pytest.mark.parametrize("degrees", [30, 90, 180, 270])
def test_a_turned_face_talks_like_an_upright_one(portrait: Avatar, degrees: int) -> None:
    still = PuppetRenderer(Fraction(25), MotionConfig(blink=False, sway=False))
    upright = still.render([FrameRequest(portrait, 0, AH)])[0]
    matrix = cv2.getRotationMatrix2D((255.5, 255.5), degrees, 1)
    drawn = still.render([FrameRequest(turned(portrait, matrix, (512, 512)), 0, AH)])[0]
    back = cv2.warpAffine(drawn, cv2.invertAffineTransform(matrix), (512, 512), flags=2)
    face = (slice(100, 300), slice(150, 320))
    difference = np.abs(back[face].astype(int) - upright[face]).max(-1)
    assert (difference > 60).mean() < 0.01


@pytest.mark.parametrize(
    ("right", "down"), [(-180, 0), (160, 0), (0, -110), (0, 230), (-180, -110)]
)
def test_a_face_at_the_edge_of_the_picture_talks(portrait: Avatar, right: int, down: int) -> None:
    matrix = np.array([[1.0, 0, right], [0, 1.0, down]])
    cut = turned(portrait, matrix, (512, 512))
    for index in (0, 40, 77):
        drawn = renderer().render([FrameRequest(cut, index, AH)])[0]
        assert drawn.shape == (512, 512, 3)


@pytest.mark.parametrize("scale", [0.28, 2.5])
def test_small_and_large_faces_talk(portrait: Avatar, scale: float) -> None:
    side = round(512 * scale)
    scaled = turned(portrait, np.array([[scale, 0, 0], [0, scale, 0]]), (side, side))
    drawn = renderer().render([FrameRequest(scaled, 3, AH)])[0]
    changed = np.abs(drawn.astype(int) - scaled.frames[0].pixels).max(-1) > 40
    assert drawn.shape == (side, side, 3)
    assert changed.sum() > 20


@pytest.mark.parametrize("name", ["portrait_closed.png", "portrait.png"])
def test_rest_is_what_silence_shows(name: str) -> None:
    avatar, puppets, silence = build_avatar(EXAMPLES / name), renderer(), np.zeros(7, np.float32)
    for index in (0, 33, 41, 100):
        rest, silent, faded = puppets.render(
            [
                FrameRequest(avatar, index, None),
                FrameRequest(avatar, index, silence),
                FrameRequest(avatar, index, AH, 0.0),
            ]
        )
        assert np.array_equal(rest, silent) and np.array_equal(rest, faded)


def test_strength_leads_from_rest_to_speech(portrait: Avatar) -> None:
    requests = [FrameRequest(portrait, 5, AH, strength) for strength in (0.0, 0.33, 0.67, 1.0)]
    rest, *rising, full = renderer().render(requests)
    assert np.array_equal(full, renderer().render([FrameRequest(portrait, 5, AH)])[0])
    away = [np.abs(frame.astype(int) - rest).sum() for frame in (*rising, full)]
    assert 0 < away[0] < away[1] < away[2]


def test_an_avatar_without_a_face_is_refused() -> None:
    with pytest.raises(FaceError, match="no face"):
        renderer().render([FrameRequest(blank_avatar(), 0, AH)])


def test_backends_are_opened_by_name() -> None:
    assert open_backend().name == "puppet"
    assert open_backend("puppet", fps=29.97).fps == Fraction(30000, 1001)
    for fps in (0, -1, 61):
        with pytest.raises(OptionError, match="fps"):
            open_backend(fps=fps)
    with pytest.raises(OptionError, match="no backend 'unknown'"):
        open_backend("unknown")
