"""A clip that talks: moved by the new speech only, never by the speech of the clip."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lipstream.avatar.avatar import Avatar, AvatarFrame
from lipstream.avatar.builder import build_avatar
from lipstream.avatar.face import landmarks as lm
from lipstream.avatar.face.finder import FaceFinder
from lipstream.rendering.puppet.portrait import prepare_portrait
from lipstream.rendering.puppet.pose import Pose
from lipstream.rendering.puppet.video.clip import Clip, prepare_clip
from tests.fakes import blank_avatar
from tests.rendering.puppet.poses import AH, EXAMPLES, FPS, REST, STILL, lip_gap, pose

if TYPE_CHECKING:
    from lipstream.media.image import Image


class PreparedClip:
    """A video avatar and its prepared clip."""

    def __init__(self, avatar: Avatar) -> None:
        self.avatar = avatar
        self.clip: Clip = prepare_clip(avatar)

    def render(self, index: int, fps: Fraction, pose: Pose) -> Image:
        return self.clip.render(self.avatar, index, fps, pose)


@pytest.fixture(scope="module")
def idle() -> PreparedClip:
    return PreparedClip(build_avatar(EXAMPLES / "idle.mp4"))


@pytest.fixture(scope="module")
def talking(finder: FaceFinder) -> Avatar:
    """A clip that says m-a-m-a: the portrait, its head still, with its mouth closed and opened."""
    still = build_avatar(EXAMPLES / "portrait.png").frames[0]
    assert still.landmarks is not None
    portrait = prepare_portrait(still.pixels, still.landmarks)
    frames = []
    for sound in (REST, pose(jaw=0.5)):
        picture = portrait.render(0, FPS, sound, STILL)
        frames.append(AvatarFrame(picture, finder.find(picture)[0].landmarks[:, :2]))
    shut, opened = frames
    said = (shut,) * 4 + (opened,) * 4
    return Avatar(2 * said, True, "talking", blank_avatar(512, 512, 16).report)


def around_lips(frame: AvatarFrame, picture: Image) -> Image:
    """The part of `picture` from the nose to below the lips of `frame`."""
    points = frame.landmarks
    assert points is not None
    left, right = (int(points[corner, 0]) for corner in (lm.MOUTH_RIGHT, lm.MOUTH_LEFT))
    top, bottom = int(points[lm.NOSE_BASE, 1]), int(points[lm.LOWER_LIP_BOTTOM, 1])
    return picture[top + 4 : bottom + 8, left - 8 : right + 8]


def test_an_idle_clip_at_rest_is_shown_as_it_is(idle: PreparedClip) -> None:
    for index in range(0, 150, 15):
        shown, source = idle.render(index, FPS, REST), idle.avatar.at(index).pixels
        assert np.abs(shown.astype(int) - source).mean() < 0.05


def test_its_mouth_opens_wherever_the_head_is(idle: PreparedClip, finder: FaceFinder) -> None:
    for index in (0, 24, 48, 100):
        opened, shut = (lip_gap(finder, idle.render(index, FPS, pose)) for pose in (AH, REST))
        assert opened > shut + 0.06


def test_only_the_lower_face_changes(idle: PreparedClip) -> None:
    frame = idle.avatar.at(30)
    assert frame.landmarks is not None
    drawn = idle.render(30, FPS, AH).astype(int)
    changed = np.flatnonzero((np.abs(drawn - frame.pixels).max(-1) > 16).any(1))
    assert changed.min() > frame.landmarks[list(lm.RIGHT_LOWER_LID), 1].max()
    below_chin = lm.face_height(frame.landmarks) / 2
    assert changed.max() < frame.landmarks[lm.CHIN, 1] + below_chin


def test_the_own_speech_of_the_clip_is_silenced(talking: Avatar, finder: FaceFinder) -> None:
    clip, moments = PreparedClip(talking), (1, 3, 5, 7)
    source = [lip_gap(finder, talking.frames[index].pixels) for index in moments]
    silent = [lip_gap(finder, clip.render(index, FPS, REST)) for index in moments]
    spoken = [lip_gap(finder, clip.render(index, FPS, AH)) for index in moments]
    assert np.ptp(source) > 0.06
    assert max(silent) < 0.05 and np.ptp(silent) < 0.02
    assert all(loud > quiet + 0.08 for loud, quiet in zip(spoken, silent, strict=True))


def test_over_silence_the_lips_of_a_talker_do_not_move(talking: Avatar) -> None:
    clip, shut = PreparedClip(talking), talking.frames[0]
    still = around_lips(shut, shut.pixels).astype(int)

    def moved(picture: Image) -> float:
        return float(np.abs(around_lips(shut, picture) - still).mean())

    own = moved(talking.frames[5].pixels)
    assert all(moved(clip.render(index, FPS, REST)) < 0.5 * own for index in range(16))


def test_lips_that_are_lent_take_the_light_of_their_frame(talking: Avatar) -> None:
    bright = talking.frames[5]
    dark = AvatarFrame((bright.pixels * 0.6).astype(np.uint8), bright.landmarks)
    frames = (*talking.frames[:5], bright, dark, *talking.frames[7:])
    clip = PreparedClip(Avatar(frames, True, "dusk", talking.report))
    lit, dim = (around_lips(bright, clip.render(index, FPS, REST)).mean() for index in (5, 6))
    assert dim == pytest.approx(0.6 * lit, rel=0.05)


def test_a_closed_frame_far_from_all_words_keeps_its_own_lips(talking: Avatar) -> None:
    shut, opened = talking.frames[0], talking.frames[5]
    clip = PreparedClip(Avatar((shut,) * 24 + (opened,), True, "late", talking.report))
    drawn = [clip.render(index, FPS, REST) for index in range(25)]
    assert np.array_equal(drawn[0], shut.pixels)
    lips = [around_lips(shut, picture).astype(int) for picture in drawn]
    steps = [np.abs(after - lips[0]).mean() for after in lips]
    # The lips that are lent come gradually, before the mouth opens.
    assert (
        max(np.diff(steps)[:-1]) < 0.1 * np.abs(around_lips(shut, opened.pixels) - lips[0]).mean()
    )


def test_frames_without_a_face_are_shown_as_they_are(idle: PreparedClip) -> None:
    frames = tuple(
        AvatarFrame(frame.source, None if index == 3 else frame.landmarks, frame.shot)
        for index, frame in enumerate(idle.avatar.frames[:6])
    )
    clip = PreparedClip(Avatar(frames, True, "gap", idle.avatar.report))
    assert np.array_equal(clip.render(3, FPS, AH), frames[3].pixels)
    assert not np.array_equal(clip.render(2, FPS, AH), frames[2].pixels)


def test_every_shot_has_its_own_lips(idle: PreparedClip) -> None:
    frames = tuple(
        AvatarFrame(frame.source, frame.landmarks, int(index >= 3))
        for index, frame in enumerate(idle.avatar.frames[:6])
    )
    assert set(prepare_clip(Avatar(frames, True, "cut", idle.avatar.report)).shots) == {0, 1}


def test_the_clip_keeps_its_speed_at_any_frame_rate(idle: PreparedClip) -> None:
    assert np.array_equal(idle.render(20, Fraction(50), AH), idle.render(10, FPS, AH))
