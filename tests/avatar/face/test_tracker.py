from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lipstream.avatar.face.landmarks import NOSE_TIP, eye_distance
from lipstream.avatar.face.tracker import FaceTracker, ShotDetector
from tests.avatar.scenes import covered, faceless, placed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lipstream.avatar.face.finder import Face, FaceFinder
    from lipstream.media.image import Image


def cuts(frames: Iterable[Image]) -> list[int]:
    watch = ShotDetector()
    return [index for index, frame in enumerate(frames) if watch.is_cut(frame)]


def test_only_the_change_of_scene_is_a_cut(portrait: Image) -> None:
    first = [placed(portrait, x=index) for index in range(12)]
    second = [placed(faceless(), x=index) for index in range(12)]
    assert cuts([*first, *second]) == [12]


def test_motion_exposure_and_noise_are_no_cuts(portrait: Image) -> None:
    random = np.random.default_rng(6)
    frames = [
        np.clip(
            placed(portrait, x=8 * index, angle=2 * index) * (1 - 0.03 * index)
            + random.normal(0, 12, portrait.shape),
            0,
            255,
        ).astype(np.uint8)
        for index in range(12)
    ]
    assert cuts(frames) == []


def test_a_flash_is_no_cut(portrait: Image) -> None:
    flash = np.clip(portrait * 1.6, 0, 255).astype(np.uint8)
    assert cuts([*[portrait] * 5, flash, *[portrait] * 5]) == []


def follow(finder: FaceFinder, frames: Iterable[Image]) -> tuple[list[float | None], list[int]]:
    """Across position of the nose tip, and shot, per frame."""
    follower = FaceTracker(finder, 24)
    noses: list[float | None] = []
    shots = []
    for frame in frames:
        face = follower.update(frame)
        noses.append(None if face is None else float(face.landmarks[NOSE_TIP, 0]))
        shots.append(follower.shot)
    return noses, shots


def test_a_moving_face_is_followed(finder: FaceFinder, portrait: Image) -> None:
    noses, shots = follow(finder, [placed(portrait, x=4 * index) for index in range(10)])
    steps = np.diff([nose for nose in noses if nose is not None])
    assert len(steps) == 9
    assert np.abs(steps - 4).max() < 2
    assert set(shots) == {0}


def test_a_face_hidden_for_a_moment_is_found_again_in_the_same_shot(
    finder: FaceFinder, portrait: Image
) -> None:
    frames = [*[portrait] * 3, *[covered(portrait)] * 4, *[portrait] * 3]
    noses, shots = follow(finder, frames)
    assert [nose is None for nose in noses] == [False] * 3 + [True] * 4 + [False] * 3
    assert set(shots) == {0}


def test_a_jump_no_head_can_make_begins_a_shot(finder: FaceFinder, portrait: Image) -> None:
    left, right = placed(portrait, x=-30, size=0.6), placed(portrait, x=35, size=0.6)
    _, shots = follow(finder, [*[left] * 4, *[right] * 4])
    assert shots == [0] * 4 + [1] * 4


def test_a_face_that_a_cut_moved_is_searched_for(
    finder: FaceFinder, portrait: Image, face: Face
) -> None:
    """The mesh fits itself to what stands at the old place, half an eye distance off."""
    close = placed(portrait, x=-30, y=30, size=1.3)
    follower = FaceTracker(finder, 24)
    for frame in (portrait, portrait, close, close, close):
        follower.update(frame)
    found = follower.update(portrait)
    assert found is not None
    apart = np.linalg.norm((found.landmarks - face.landmarks)[:, :2], axis=1)
    assert apart.mean() < 0.05 * eye_distance(face.landmarks)


def test_the_larger_of_two_people_is_kept(finder: FaceFinder, portrait: Image) -> None:
    frames = []
    for index in range(6):
        scene = np.full((256, 512, 3), 120, np.uint8)
        # Both swap their order of size midway; the one chosen first stays the one.
        left, right = (0.95, 0.8) if index < 3 else (0.8, 0.95)
        scene[:, :256] = placed(portrait, size=left)
        scene[:, 256:] = placed(portrait[:, ::-1].copy(), size=right)
        frames.append(scene)
    noses, _ = follow(finder, frames)
    assert all(nose is not None and nose < 256 for nose in noses)
