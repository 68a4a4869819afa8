from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image as Pillow

from lipstream.avatar.builder import build_avatar, digest, open_avatar
from lipstream.avatar.face.landmarks import LIPS
from lipstream.avatar.face.smoothing import jitter
from lipstream.avatar.picture import read_picture
from lipstream.avatar.storage import load_avatar, save_avatar
from lipstream.config import AvatarConfig
from lipstream.errors import ArchiveError, FaceError, PictureError
from tests.avatar.scenes import covered, faceless, masked, pasted, placed, swaying, write_clip

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.avatar.face.finder import FaceFinder
    from lipstream.media.image import Image

CONFIG = AvatarConfig()
EXAMPLES = Path(__file__).parents[2] / "examples"


def write_png(path: Path, image: Image) -> Path:
    Pillow.fromarray(image).save(path, "PNG")
    return path


@pytest.fixture(scope="module")
def clip_path(portrait: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 frames: a face, hidden in 15-18, absent in 30-39, another framing from 45 on."""
    frames = swaying(portrait, 60)
    frames[15:19] = [covered(frame) for frame in frames[15:19]]
    frames[30:40] = [covered(frame) for frame in frames[30:40]]
    frames[45:] = [placed(frame, size=0.7, x=30, y=20) for frame in frames[45:]]
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames)


@pytest.fixture(scope="module")
def clip(clip_path: Path) -> Avatar:
    return build_avatar(clip_path, CONFIG)


def test_a_picture_becomes_one_still_frame(portrait_path: Path, portrait: Image) -> None:
    calls: list[tuple[int, int | None]] = []
    avatar = build_avatar(portrait_path, CONFIG, lambda done, total: calls.append((done, total)))
    assert (len(avatar.frames), avatar.moving, avatar.size) == (1, False, (256, 256))
    frame = avatar.at(1234)
    assert (frame.pixels == portrait).all()
    assert frame.landmarks is not None
    assert frame.landmarks.shape == (468, 2)
    assert not frame.pixels.flags.writeable
    assert not frame.landmarks.flags.writeable
    assert calls == [(1, 1)]


def test_the_content_decides_not_the_name(portrait_path: Path, tmp_path: Path) -> None:
    named = tmp_path / "portrait.mp4"
    named.write_bytes(portrait_path.read_bytes())
    avatar = build_avatar(named, CONFIG)
    assert not avatar.moving
    assert avatar.digest == build_avatar(portrait_path, CONFIG).digest


def test_the_digest_knows_content_and_settings(portrait_path: Path, tmp_path: Path) -> None:
    first = digest(portrait_path, CONFIG)
    assert first != digest(portrait_path, AvatarConfig(max_side=128))
    assert first != digest(portrait_path, AvatarConfig(background=(0, 0, 0)))
    assert first != digest(portrait_path, AvatarConfig(min_eye_distance=40))
    assert first == digest(portrait_path, AvatarConfig(max_seconds=10))
    changed = tmp_path / "portrait.png"
    changed.write_bytes(portrait_path.read_bytes() + b"\0")
    assert first != digest(changed, CONFIG)


def test_large_pictures_are_prepared_small(portrait_path: Path) -> None:
    avatar = build_avatar(portrait_path, AvatarConfig(max_side=200))
    assert avatar.size == (200, 200)
    assert avatar.at(0).pixels.shape == (200, 200, 3)


@pytest.mark.slow
def test_every_frame_of_a_clip_keeps_its_place(clip: Avatar) -> None:
    assert clip.moving
    assert len(clip.frames) == clip.report.frames == 60
    assert all(isinstance(frame.source, bytes) for frame in clip.frames)
    assert all(frame.pixels.shape == (256, 256, 3) for frame in clip.frames[::20])


def test_short_gaps_are_filled_and_long_ones_left_open(clip: Avatar) -> None:
    without = [index for index, frame in enumerate(clip.frames) if frame.landmarks is None]
    assert without == list(range(30, 40))
    report = clip.report
    assert (report.faces_found, report.faces_filled, report.faces_lost) == (46, 4, 10)


def test_a_cut_begins_the_next_shot(clip: Avatar) -> None:
    assert [frame.shot for frame in clip.frames] == [0] * 45 + [1] * 15
    assert clip.report.shots == 2
    before, after = clip.frames[44].landmarks, clip.frames[45].landmarks
    assert before is not None and after is not None
    assert np.linalg.norm(after - before, axis=1).mean() > 15


def test_points_are_steadier_than_measured_and_still_on_the_face(
    clip: Avatar, finder: FaceFinder
) -> None:
    chosen = clip.frames[40:]
    raw = [finder.find(frame.pixels)[0].landmarks[:, :2] for frame in chosen]
    quiet = [frame.landmarks for frame in chosen]
    shots = [frame.shot for frame in chosen]
    assert jitter(quiet, shots) < jitter(raw, shots) / 4
    assert jitter(quiet, shots, LIPS) < jitter(raw, shots, LIPS) / 2
    for seen, kept in zip(raw, quiet, strict=True):
        assert kept is not None
        assert np.linalg.norm(kept - seen, axis=1).mean() < 1.5


def test_a_film_of_one_frame_is_a_picture(portrait: Image, tmp_path: Path) -> None:
    avatar = build_avatar(write_clip(tmp_path / "one.mp4", [portrait]), CONFIG)
    assert not avatar.moving
    assert avatar.at(0).pixels.shape == (256, 256, 3)


def test_a_clip_counts_its_frames_at_25_per_second(portrait: Image, tmp_path: Path) -> None:
    calls: list[int] = []
    path = write_clip(tmp_path / "fast.mp4", [portrait] * 24, fps=50)
    avatar = build_avatar(path, CONFIG, lambda done, total: calls.append(done))
    assert len(avatar.frames) == 12
    assert calls == list(range(1, 13))


def test_a_clip_may_keep_its_own_rate(portrait: Image, tmp_path: Path) -> None:
    path, rate = write_clip(tmp_path / "fast.mp4", [portrait] * 24, fps=50), Fraction(50)
    avatar = build_avatar(path, CONFIG, fps=rate)
    assert (len(avatar.frames), avatar.fps) == (24, rate)
    assert [avatar.position(index, rate) for index in (0, 23, 24)] == [0, 23, 22]
    assert [avatar.position(index, Fraction(25)) for index in (0, 3, 11)] == [0, 6, 22]
    assert avatar.digest != build_avatar(path, CONFIG).digest
    save_avatar(avatar, tmp_path / "fast.avatar")
    assert load_avatar(tmp_path / "fast.avatar").fps == 50


@pytest.mark.slow
def test_short_and_shaking_shots_are_shown_as_they_are(portrait: Image, tmp_path: Path) -> None:
    """Between two calm shots: a glimpse of a close-up, then a hand-held one."""
    random = np.random.default_rng(4)
    glimpse = [placed(portrait, angle=35, size=1.5)] * 6
    held = [
        placed(portrait[:, ::-1], x=x, y=y, angle=25, size=0.8)
        for x, y in random.normal(0, 7, (12, 2))
    ]
    calm = swaying(portrait, 30)
    path = write_clip(tmp_path / "cut.mp4", [*calm, *glimpse, *held, *calm])
    avatar = build_avatar(path, CONFIG)
    resting = [index for index, frame in enumerate(avatar.frames) if frame.landmarks is None]
    assert resting == list(range(30, 48))
    assert any(text.startswith("18 frames belong to shots") for text in avatar.report.warnings)
    assert (avatar.report.faces_filled, avatar.report.faces_lost) == (0, 18)
    path = write_clip(tmp_path / "wild.mp4", [*calm[:10], *glimpse, *held])
    with pytest.raises(FaceError, match="too short or too unsteady to follow a face; cut"):
        build_avatar(path, CONFIG)


def test_faceless_files_are_refused(portrait: Image, tmp_path: Path) -> None:
    with pytest.raises(FaceError, match="no face was found in .*empty.png"):
        build_avatar(write_png(tmp_path / "empty.png", faceless()), CONFIG)
    frames = [*[portrait] * 4, *[faceless()] * 8]
    with pytest.raises(FaceError, match="a face in only 4 of 12 frames"):
        build_avatar(write_clip(tmp_path / "brief.mp4", frames), CONFIG)


@pytest.mark.parametrize("height", [166, 191, 213])
def test_a_picture_that_ends_above_the_mouth_is_refused(tmp_path: Path, height: int) -> None:
    """The mesh goes on beyond the edge; its lips end at 214."""
    image = read_picture(EXAMPLES / "portrait_closed.png", CONFIG)
    with pytest.raises(FaceError, match=r"the mouth of the face in .*half.png is cut off"):
        build_avatar(write_png(tmp_path / "half.png", image[:height]), CONFIG)
    build_avatar(write_png(tmp_path / "whole.png", image[:222]), CONFIG)


@pytest.mark.parametrize("colour", [(28, 25, 24), (120, 170, 215), (110, 170, 140)])
def test_a_covered_mouth_is_refused_as_that(
    finder: FaceFinder, tmp_path: Path, colour: tuple[int, int, int]
) -> None:
    image = read_picture(EXAMPLES / "portrait_closed.png", CONFIG)
    hidden = masked(image, finder.find(image)[0].landmarks, colour)
    with pytest.raises(FaceError, match="the mouth is covered in .*masked.png, as by a mask; give"):
        build_avatar(write_png(tmp_path / "masked.png", hidden), CONFIG)
    with pytest.raises(FaceError, match="the mouth is covered in .*masked.mp4"):
        build_avatar(write_clip(tmp_path / "masked.mp4", [hidden] * 4), CONFIG)


def test_of_two_faces_one_with_a_mouth_is_taken(portrait: Image, tmp_path: Path) -> None:
    small = pasted(portrait, (256, 170), 40, 0, 170)
    path = write_png(tmp_path / "two.png", np.concatenate([portrait[:170], small], axis=1))
    points = build_avatar(path, CONFIG).at(0).landmarks
    assert points is not None and points[:, 0].min() > 256


def test_frames_of_a_clip_that_end_above_the_mouth_are_faceless(
    portrait: Image, tmp_path: Path
) -> None:
    frames = [placed(portrait, y=y) for y in (*[0] * 8, *range(0, 90, 10), *[90] * 6)]
    avatar = build_avatar(write_clip(tmp_path / "sinking.mp4", frames), CONFIG)
    lips = [
        None if frame.landmarks is None else float(frame.landmarks[list(LIPS), 1].max())
        for frame in avatar.frames
    ]
    assert all(lip is not None and lip < 256 for lip in lips[:14])
    assert all(lip is None for lip in lips[17:])
    low = [placed(portrait, y=y) for y in (90, 91, 92, 92)]
    with pytest.raises(FaceError, match=r"the mouth of the face in .*low.mp4 is cut off"):
        build_avatar(write_clip(tmp_path / "low.mp4", low), CONFIG)


def test_a_face_too_small_to_speak_is_refused(portrait: Image, tmp_path: Path) -> None:
    path = write_png(tmp_path / "far.png", pasted(portrait, (640, 480), 300, 200, 70))
    with pytest.raises(FaceError, match=r"far.png is too small: 2\d pixels"):
        build_avatar(path, CONFIG)


@pytest.mark.parametrize("name", ["notes.png", "notes.mp4", "notes"])
def test_text_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("Dear photographer, " * 50)
    with pytest.raises(PictureError) as caught:
        build_avatar(path, CONFIG)
    assert str(path) in str(caught.value)


def test_open_takes_a_picture_or_a_prepared_file(portrait_path: Path, tmp_path: Path) -> None:
    built = open_avatar(portrait_path, CONFIG)
    save_avatar(built, tmp_path / "anna.avatar")
    assert open_avatar(tmp_path / "anna.avatar", CONFIG).digest == built.digest
    with pytest.raises(ArchiveError, match="is a folder"):
        open_avatar(tmp_path, CONFIG)
    with pytest.raises(PictureError, match="does not exist"):
        open_avatar(tmp_path / "nobody", CONFIG)
