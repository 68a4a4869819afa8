"""`face` and `rotate`: which of several faces talks, and what is up."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from lipstream.avatar.builder import build_avatar
from lipstream.avatar.face.landmarks import LIPS
from lipstream.config import AvatarConfig, face_choice, rotation
from lipstream.errors import FaceError, OptionError
from tests.avatar.scenes import faceless, placed, write_clip

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.media.image import Image


@pytest.fixture(scope="module")
def couple(portrait: Image) -> Image:
    """(256, 512): a smaller face on the left, a larger one on the right."""
    return np.concatenate([placed(portrait, size=0.75), portrait[:, ::-1]], axis=1)


@pytest.fixture(scope="module")
def couple_path(couple: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("couple") / "couple.png"
    Pillow.fromarray(couple).save(path)
    return path


def lips(avatar: Avatar, index: int = 0) -> tuple[float, float]:
    points = avatar.frames[index].landmarks
    assert points is not None
    x, y = points[list(LIPS)].mean(axis=0)
    return float(x), float(y)


def test_the_largest_is_taken_and_the_others_are_named(couple_path: Path) -> None:
    avatar = build_avatar(couple_path)
    assert lips(avatar)[0] > 256
    (warning,) = [text for text in avatar.report.warnings if "2 faces" in text]
    assert "the largest is animated; --face chooses another: 1 at 38" in warning


@pytest.mark.parametrize("face", [2, (128, 140), (100.5, 120)])
def test_another_is_chosen_by_number_or_place(couple_path: Path, face: object) -> None:
    avatar = build_avatar(couple_path, AvatarConfig(face=face))  # type: ignore[arg-type]
    assert lips(avatar)[0] < 256
    assert not any("faces were found" in text for text in avatar.report.warnings)


def test_a_place_is_meant_in_pixels_of_the_source(couple_path: Path) -> None:
    config = AvatarConfig(face=(380, 140), max_side=256, rotate=90)
    avatar = build_avatar(couple_path, config)
    assert avatar.size == (128, 256)
    assert lips(avatar)[1] > 128  # what was on the right is below


@pytest.mark.parametrize(
    ("face", "reason"),
    [(3, r"has 2 faces, but not face 3; choose one of them: 1 at \d+,\d+, 2 at \d+,\d+\.$"),
     ((5, 5), r"has 2 faces, but not a face at 5,5; choose")],
)  # fmt: skip
def test_a_face_that_is_not_there_is_refused(couple_path: Path, face: object, reason: str) -> None:
    with pytest.raises(FaceError, match=reason):
        build_avatar(couple_path, AvatarConfig(face=face))  # type: ignore[arg-type]


@pytest.mark.parametrize("face", [2, (128, 140)])
def test_the_chosen_one_of_a_clip_is_followed(
    couple: Image, tmp_path: Path, face: int | tuple[float, float]
) -> None:
    """A title comes first, and midway the two swap their order of size."""
    left, right = couple[:, :256], couple[:, 256:]
    later = np.concatenate([placed(left, size=1.2), placed(right, size=0.75)], axis=1)
    title = np.concatenate([faceless()] * 2, axis=1)
    path = write_clip(tmp_path / "couple.mp4", [title] * 2 + [couple] * 10 + [later] * 10)
    avatar = build_avatar(path, AvatarConfig(face=face))
    assert [frame.landmarks is None for frame in avatar.frames] == [True] * 2 + [False] * 20
    assert all(lips(avatar, index)[0] < 256 for index in range(2, 22))


def test_a_place_is_meant_as_a_player_shows_the_clip(couple: Image, tmp_path: Path) -> None:
    """Television stores wide pictures in narrow ones."""
    narrow = np.asarray(cv2.resize(couple, (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    path = write_clip(tmp_path / "couple.mp4", [narrow] * 3, pixel_shape=Fraction(2))
    avatar = build_avatar(path, AvatarConfig(face=(128, 140)))
    assert avatar.size == (512, 256)
    assert lips(avatar)[0] < 256


def test_a_clip_without_the_chosen_face_is_refused(couple: Image, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "couple.mp4", [couple] * 3)
    with pytest.raises(FaceError, match=r"has 2 faces, but not a face at 5,5; choose"):
        build_avatar(path, AvatarConfig(face=(5, 5)))


@pytest.mark.parametrize(("turns", "how"), [(1, "on its side"), (2, "upside down")])
def test_a_face_that_lies_is_turned_on_demand(
    portrait: Image, tmp_path: Path, turns: int, how: str
) -> None:
    lying = np.rot90(portrait[:, 20:230], turns)
    Pillow.fromarray(lying).save(tmp_path / "lying.png")
    as_it_is = build_avatar(tmp_path / "lying.png")
    assert any(f"{how}: --rotate auto" in text for text in as_it_is.report.warnings)
    assert (as_it_is.at(0).pixels == lying).all()
    upright = build_avatar(tmp_path / "lying.png", AvatarConfig(rotate="auto"))
    assert (upright.at(0).pixels == portrait[:, 20:230]).all()
    assert abs(upright.report.roll) < 10
    by_hand = build_avatar(tmp_path / "lying.png", AvatarConfig(rotate=90 * turns))
    assert (by_hand.at(0).pixels == upright.at(0).pixels).all()
    assert by_hand.digest != upright.digest


def test_a_lying_clip_is_turned_by_the_first_face(portrait: Image, tmp_path: Path) -> None:
    lying = np.ascontiguousarray(np.rot90(portrait[:, 20:230]))
    title = np.full_like(lying, 60)
    path = write_clip(tmp_path / "lying.mp4", [title] * 3 + [lying] * 10)
    avatar = build_avatar(path, AvatarConfig(rotate="auto"))
    assert avatar.size == (210, 256)
    assert abs(avatar.report.roll) < 10
    one = build_avatar(write_clip(tmp_path / "one.mp4", [lying]), AvatarConfig(rotate="auto"))
    assert (one.size, one.moving) == ((210, 256), False)
    assert abs(one.report.roll) < 10


def test_without_a_face_nothing_is_turned(tmp_path: Path) -> None:
    Pillow.fromarray(faceless()).save(tmp_path / "wall.png")
    with pytest.raises(FaceError, match="no face was found"):
        build_avatar(tmp_path / "wall.png", AvatarConfig(rotate="auto"))


def test_choices_are_read_from_text() -> None:
    assert [face_choice(text) for text in ("1", " 12", "320,210", "320, 210")] == [
        *(1, 12, (320.0, 210.0), (320.0, 210.0))
    ]
    assert [rotation(text) for text in ("none", "auto", "90", "270")] == [0, "auto", 90, 270]
    for wrong in ("", "0", "100", "left", "1,2,3", "-1", "1e5", "320,"):
        with pytest.raises(OptionError, match="names no face; write 1 for the largest"):
            face_choice(wrong)
    for wrong in ("0", "45", "left", ""):
        with pytest.raises(OptionError, match="there is no rotation"):
            rotation(wrong)
    for field in ({"face": 0}, {"face": 100}, {"rotate": 45}):
        with pytest.raises(OptionError):
            AvatarConfig(**field)  # type: ignore[arg-type]
