from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from lipstream.avatar.face.landmarks import (
    LIPS,
    NOSE_TIP,
    eye_distance,
)
from lipstream.avatar.quality import check_usable, measure_quality, shows_mouth
from lipstream.config import AvatarConfig
from lipstream.errors import FaceError
from tests.avatar.scenes import opened, pasted

if TYPE_CHECKING:
    from lipstream.avatar.avatar import QualityReport
    from lipstream.avatar.face.finder import Face, FaceFinder
    from lipstream.media.image import Image

CONFIG = AvatarConfig()
PATH = Path("anna.png")


def is_short(face: Face, frames: int, fps: int) -> bool:
    track = [face.landmarks[:, :2]] * frames
    size, shots = (256, 256), [0] * frames
    report = measure_quality(size, track, track, shots, 1, None, CONFIG, fps=Fraction(fps))
    return any("its repetition will be noticed" in text for text in report.warnings)


def judged(image: Image, finder: FaceFinder) -> QualityReport:
    found = finder.find(image)
    points = found[0].landmarks[:, :2]
    size = (image.shape[1], image.shape[0])
    return measure_quality(size, [points], [points], [0], len(found), image, CONFIG)


@pytest.fixture(scope="module")
def good(portrait: Image, face: Face) -> QualityReport:
    points = face.landmarks[:, :2]
    return measure_quality((256, 256), [points], [points], [0], 1, portrait, CONFIG)


def test_figures_of_the_portrait(good: QualityReport) -> None:
    assert (good.width, good.height, good.frames) == (256, 256, 1)
    assert (good.faces_found, good.faces_filled, good.faces_lost, good.people) == (1, 0, 0, 1)
    assert good.eye_distance == pytest.approx(75, abs=2)
    assert 0.4 < good.face_height < 0.6
    assert 0.12 < good.mouth_open < 0.2
    assert good.roll == pytest.approx(3, abs=1)
    assert good.jitter == 0


def test_an_open_mouth_is_the_only_remark_on_a_good_portrait(good: QualityReport) -> None:
    assert len(good.warnings) == 1
    assert "mouth is open" in good.warnings[0]


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        (lambda image: pasted(image, (640, 480), 200, 100, 150), "face is small"),
        (lambda image: (image * 0.25).astype(np.uint8), "dark"),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 2.5), "blurred"),
        (lambda image: image[:190].copy(), "cut off"),
        (lambda image: image[:216].copy(), "close to the edge"),
        (lambda image: np.concatenate([image, image[:, ::-1]], axis=1), "2 faces"),
    ],
    ids=["small", "dark", "blurred", "cut off", "edge", "two"],
)
def test_each_weakness_is_remarked(
    portrait: Image, finder: FaceFinder, change: object, remark: str
) -> None:
    assert callable(change)
    warnings = judged(change(portrait), finder).warnings
    assert any(remark in warning for warning in warnings), warnings


@pytest.mark.parametrize(
    ("gaps", "remark"),
    [
        ((0.03,), None),
        ((0.15,), "The mouth is open: it is closed between words"),
        ((0.35,), "The mouth is wide open: lips and chin are distorted"),
        ((0.03, 0.05, 0.04, 0.03), None),
        ((0.03, 0.2, 0.3, 0.03), "The mouth is open in 2 of 4 frames"),
        ((0.15, 0.16, 0.15, 0.15), "The mouth is never closed in this clip"),
    ],
)
def test_an_open_mouth_is_told_as_what_will_be_seen(
    face: Face, gaps: tuple[float, ...], remark: str | None
) -> None:
    track = [opened(face, gap) for gap in gaps]
    report = measure_quality((256, 256), track, track, [0] * len(gaps), 1, None, CONFIG)
    said = [text for text in report.warnings if text.startswith("The mouth")]
    assert len(said) == (remark is not None)
    assert remark is None or said[0].startswith(remark)


def test_a_large_sharp_picture_is_not_called_blurred(portrait: Image, finder: FaceFinder) -> None:
    large = cv2.resize(portrait, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    assert not any("blurred" in text for text in judged(np.asarray(large), finder).warnings)


def test_clip_remarks(face: Face) -> None:
    points = face.landmarks[:, :2]
    shaking = [points + np.float32(2 * (index % 2)) for index in range(20)]
    measured = [*shaking, None, None, None]
    report = measure_quality((256, 256), measured, measured, [0] * 10 + [1] * 13, 1, None, CONFIG)
    text = " ".join(report.warnings)
    for remark in ("only 23 frames", "in only 20 of 23", "2 shots", "unsteadily"):
        assert remark in text
    assert (report.faces_found, report.faces_lost) == (20, 3)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"faces_found": 0, "faces_lost": 1}, "no face was found in anna.png"),
        ({"frames": 100, "faces_lost": 51}, "only 49 of 100 frames"),
        ({"eye_distance": 23.4}, "too small: 23 pixels"),
        ({"yaw": -0.36}, "turned too far"),
        ({"mouth_open": 0.5}, "open too far to be closed"),
    ],
)
def test_the_unusable_is_refused(
    good: QualityReport, changes: dict[str, float], reason: str
) -> None:
    with pytest.raises(FaceError, match=reason) as caught:
        check_usable(PATH, replace(good, **changes), CONFIG)  # type: ignore[arg-type]
    assert "anna.png" in str(caught.value)


def test_a_face_without_its_mouth_is_refused_as_that(good: QualityReport) -> None:
    lost = replace(good, faces_found=0, faces_lost=1)
    with pytest.raises(FaceError, match=r"the mouth of the face in anna.png is cut off"):
        check_usable(PATH, lost, CONFIG, cut_off=1)


def test_a_mouth_is_shown_where_a_little_room_is_left_around_it(face: Face) -> None:
    lips = face.landmarks[list(LIPS), :2]
    right, bottom = np.ceil(lips.max(axis=0) + 0.02 * eye_distance(face.landmarks)).astype(int)
    assert shows_mouth(face.landmarks, (right, bottom))
    assert not shows_mouth(face.landmarks, (right - 2, bottom))
    assert not shows_mouth(face.landmarks, (right, bottom - 2))
    assert not shows_mouth(face.landmarks - np.array([right - 10, 0, 0], np.float32), (256, 256))


def test_the_passable_is_not_refused(good: QualityReport) -> None:
    check_usable(PATH, replace(good, eye_distance=24.0, yaw=0.34), CONFIG)
    check_usable(PATH, replace(good, frames=100, faces_lost=50), CONFIG)
    check_usable(PATH, replace(good, frames=100, mouth_open=0.6), CONFIG)  # a clip has others


def test_a_turned_head_is_remarked(face: Face, portrait: Image) -> None:
    points = face.landmarks[:, :2].copy()
    points[NOSE_TIP, 0] += 18
    report = measure_quality((256, 256), [points], [points], [0], 1, portrait, CONFIG)
    assert 0.2 < report.yaw < 0.35
    assert any("turned to the side" in warning for warning in report.warnings)


def test_a_clip_is_short_by_its_seconds_at_any_rate(face: Face) -> None:
    assert is_short(face, 49, 25) and not is_short(face, 50, 25)
    assert is_short(face, 90, 60) and not is_short(face, 30, 15)
