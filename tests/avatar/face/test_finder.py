from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from lipstream.avatar.face import opencv_net
from lipstream.avatar.face.finder import Face, FaceFinder
from lipstream.avatar.face.landmarks import LIPS, eye_distance, roll
from lipstream.errors import MissingError
from tests.avatar.scenes import faceless, lettered, pasted, placed

if TYPE_CHECKING:
    from lipstream.media.image import Image


def test_one_face_with_all_its_points_inside_the_picture(face: Face) -> None:
    assert face.landmarks.shape == (468, 3)
    assert face.landmarks.dtype == np.float32
    assert face.score > 0.9
    assert (face.landmarks[:, :2] > 0).all()
    assert (face.landmarks[:, :2] < 256).all()


@pytest.mark.parametrize("angle", [-30, -15, 15, 30, 60, 90, 150, 180])
def test_points_turn_with_the_head(
    finder: FaceFinder, portrait: Image, face: Face, angle: float
) -> None:
    found = finder.find(placed(portrait, angle=angle, size=0.8))
    assert len(found) == 1
    cos, sin = 0.8 * math.cos(math.radians(angle)), 0.8 * math.sin(math.radians(angle))
    turn = np.array([[cos, -sin], [sin, cos]])
    expected = (face.landmarks[:, :2] - 128) @ turn.T + 128
    error = np.linalg.norm(found[0].landmarks[:, :2] - expected, axis=1)
    unit = eye_distance(found[0].landmarks)
    assert error.mean() < 0.03 * unit
    assert error[list(LIPS)].mean() < 0.03 * unit
    turned = math.degrees(roll(found[0].landmarks) - roll(face.landmarks))
    assert (turned - angle + 180) % 360 - 180 == pytest.approx(0, abs=3)


@pytest.mark.parametrize("side", [150, 75, 45])
@pytest.mark.parametrize("corner", [(20, 30), (600, 250), (1120, 560)])
def test_small_faces_anywhere_in_a_large_picture(
    finder: FaceFinder, portrait: Image, face: Face, side: int, corner: tuple[int, int]
) -> None:
    found = finder.find(pasted(portrait, (1280, 720), *corner, side))
    assert len(found) == 1
    expected = face.landmarks[:, :2] * (side / 256) + corner
    assert np.linalg.norm(found[0].landmarks[:, :2] - expected, axis=1).mean() < side * 0.02


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((240, 320, 3), np.uint8),
        np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8),
        faceless(),
        np.zeros((32, 400, 3), np.uint8),
    ],
    ids=["blank", "noise", "texture", "strip"],
)
def test_nothing_is_found_where_no_face_is(finder: FaceFinder, picture: Image) -> None:
    assert finder.find(picture) == []


@pytest.mark.parametrize("seed", [106, 116, 156, 158])
def test_lettering_is_no_face(finder: FaceFinder, seed: int) -> None:
    """One look at each of these scores more than 0.98."""
    assert finder.find(lettered(seed)) == []


@pytest.mark.parametrize("angle", [-40, 40])
def test_an_ear_is_no_face(finder: FaceFinder, portrait: Image, angle: float) -> None:
    ear = cv2.resize(portrait[74:180, 7:113], (256, 256), interpolation=cv2.INTER_CUBIC)
    assert finder.find(placed(np.asarray(ear), angle=angle)) == []


@pytest.mark.parametrize("sigma", [1, 2, 4])
def test_a_blurred_face_is_a_face(finder: FaceFinder, portrait: Image, sigma: float) -> None:
    assert len(finder.find(np.asarray(cv2.GaussianBlur(portrait, (0, 0), sigma)))) == 1


def test_two_faces_come_largest_first(finder: FaceFinder, portrait: Image) -> None:
    scene = pasted(portrait, (640, 360), 20, 120, 160)
    scene[40:296, 340:596] = portrait
    found = finder.find(scene)
    assert len(found) == 2
    assert eye_distance(found[0].landmarks) > eye_distance(found[1].landmarks)
    assert found[0].landmarks[:, 0].min() > 320


def test_tracking_agrees_with_finding(finder: FaceFinder, portrait: Image, face: Face) -> None:
    moved = placed(portrait, x=5, y=-3)
    tracked, found = finder.track(moved, face), finder.find(moved)[0]
    assert tracked is not None
    apart = np.linalg.norm((tracked.landmarks - found.landmarks)[:, :2], axis=1)
    assert apart.mean() < 0.02 * eye_distance(found.landmarks)


def test_tracking_ends_where_no_face_is(finder: FaceFinder, face: Face) -> None:
    assert finder.track(faceless(), face) is None


def test_dark_and_grey_pictures_give_the_same_points(
    finder: FaceFinder, portrait: Image, face: Face
) -> None:
    grey = cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, axis=2)
    for picture in (grey, portrait * 0.3):
        found = finder.find(np.asarray(picture, np.uint8))[0].landmarks
        assert np.linalg.norm(found - face.landmarks, axis=1).mean() < 2


def test_threads_may_share_a_finder(finder: FaceFinder, portrait: Image) -> None:
    pictures = [placed(portrait, x=shift) for shift in range(8)]
    alone = [finder.find(picture)[0].landmarks for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = [found[0].landmarks for found in pool.map(finder.find, pictures)]
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other)


def test_missing_models_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opencv_net, "FOLDER", tmp_path)
    with pytest.raises(MissingError, match=r"face_detection_short_range\.tflite.*reinstall"):
        FaceFinder()


def test_damaged_models_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "face_detection_short_range.tflite").write_bytes(b"not a model at all")
    monkeypatch.setattr(opencv_net, "FOLDER", tmp_path)
    with pytest.raises(MissingError, match=r"damaged; run .*--force-reinstall"):
        FaceFinder()
