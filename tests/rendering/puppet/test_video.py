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
from lipstream.config import MotionConfig
from lipstream.rendering.puppet.portrait import prepare_portrait
from lipstream.rendering.puppet.pose import Pose
from lipstream.rendering.puppet.video import Clip, prepare_clip
from tests.fakes import blank_avatar
from tests.rendering.puppet.poses import AH, EXAMPLES, FPS, REST, lip_gap

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
    """A clip that says a-m-a-m: the smiling portrait with its mouth opened and closed."""
    still = build_avatar(EXAMPLES / "portrait.png").frames[0]
    assert still.landmarks is not None
    portrait = prepare_portrait(still.pixels, still.landmarks)
    config = MotionConfig(blink=False)
    frames = []
    for index in range(8):
        pose = AH if index % 2 else REST
        picture = portrait.render(25 * index, FPS, pose, config)
        frames.append(AvatarFrame(picture, finder.find(picture)[0].landmarks[:, :2]))
    return Avatar(tuple(frames), True, "talking", blank_avatar(512, 512, 8).report)


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
    clip = PreparedClip(talking)
    source = [lip_gap(finder, frame.pixels) for frame in talking.frames]
    silent = [lip_gap(finder, clip.render(index, FPS, REST)) for index in range(8)]
    spoken = [lip_gap(finder, clip.render(index, FPS, AH)) for index in range(8)]
    assert np.ptp(source) > 0.08
    assert max(silent) < 0.06 and np.median(silent) < 0.04
    assert all(loud > quiet + 0.05 for loud, quiet in zip(spoken, silent, strict=True))


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
