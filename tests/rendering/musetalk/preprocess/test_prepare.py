from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lipstream.avatar.avatar import Avatar, AvatarFrame
from lipstream.avatar.builder import build_avatar
from lipstream.avatar.storage import load_avatar, save_avatar
from lipstream.errors import ArchiveError, FaceError, OptionError
from lipstream.rendering.musetalk.compositing.blend import blend, crop_face, crop_square
from lipstream.rendering.musetalk.preprocess.face_box import face_box, landmarks_68
from lipstream.rendering.musetalk.preprocess.prepare import (
    FaceSettings,
    PreparedFaces,
    attach,
    configured_box,
    network_input,
    prepare_faces,
    stored_faces,
)

PORTRAIT = Path(__file__).parents[3] / "data" / "portrait.png"


def encode(images: np.ndarray) -> np.ndarray:
    """Latents that tell which picture they are of: block means of RGB and of their sum."""
    blocks = images.reshape(len(images), 3, images.shape[2] // 8, 8, -1, 8).mean((3, 5))
    return np.concatenate([blocks, blocks.sum(1, keepdims=True)], 1, dtype=np.float32)


@pytest.fixture(scope="module")
def portrait() -> Avatar:
    return build_avatar(PORTRAIT)


@pytest.fixture(scope="module")
def clip(portrait: Avatar) -> Avatar:
    """Five frames: the face, darker and darker, and none in the second and the last."""
    pixels, points = portrait.frames[0].pixels, portrait.frames[0].landmarks
    frames = [
        AvatarFrame((pixels // (1 + index)).astype(np.uint8), None if index in (1, 4) else points)
        for index in range(5)
    ]
    return replace(portrait, frames=tuple(frames), moving=True)


@pytest.fixture(scope="module")
def faces(clip: Avatar) -> PreparedFaces:
    return prepare_faces(clip, encode, FaceSettings(), batch=2)


def test_every_frame_keeps_its_place(clip: Avatar, faces: PreparedFaces) -> None:
    assert faces.latents.shape == (5, 8, 32, 32) and faces.latents.dtype == np.float32
    assert [plan is None for plan in faces.plans] == [False, True, False, False, True]
    assert [square is None for square in faces.squares] == [False, True, False, False, True]
    assert not faces.latents[[1, 4]].any()
    for index in (0, 2, 3):
        plan = faces.plans[index]
        assert plan is not None
        pair = network_input(crop_face(clip.frames[index].pixels, plan.box, 256))
        masked, whole = encode(pair) * np.float32(0.18215)
        assert np.array_equal(faces.latents[index], np.concatenate([masked, whole]))


def test_the_batch_changes_nothing_and_progress_is_reported(
    clip: Avatar, faces: PreparedFaces
) -> None:
    reported: list[tuple[int, int | None]] = []
    again = prepare_faces(
        clip, encode, FaceSettings(), lambda done, total: reported.append((done, total)), batch=64
    )
    assert np.array_equal(again.latents, faces.latents)
    assert reported == [(done, 5) for done in range(1, 6)]


def test_the_network_sees_the_upper_half_first_and_then_the_whole_face() -> None:
    face = np.full((256, 256, 3), 255, np.uint8)
    face[..., 2] = 0
    masked, whole = network_input(face)
    assert (whole[:2] == 1).all() and (whole[2] == -1).all()
    assert (masked[:2, :128] == 1).all() and (masked[:, 128:] == -1).all()


@pytest.mark.parametrize("side", [256, 512])
def test_both_sizes_of_faces(portrait: Avatar, side: int) -> None:
    faces = prepare_faces(portrait, encode, FaceSettings(face_size=side))
    assert faces.latents.shape == (1, 8, side // 8, side // 8)


def test_versions_differ_in_their_boxes_and_masks(portrait: Avatar) -> None:
    points = portrait.frames[0].landmarks
    assert points is not None
    face, height = landmarks_68(points), portrait.size[1]
    plain, shifted = face_box(face), face_box(face, shift=5)
    assert plain is not None and shifted is not None
    one, newer = (
        FaceSettings.published("v1", bbox_shift=5),
        FaceSettings.published("v15", bbox_shift=5),
    )
    assert configured_box(face, one, height) == shifted
    margin = configured_box(face, newer, height)
    assert margin == replace(plain, bottom=min(plain.bottom + 10, height))
    assert (one.mask, newer.mask) == ("raw", "jaw")


@pytest.mark.parametrize(
    "wrong", [{"version": "v2"}, {"face_size": 300}, {"mask": "chin"}], ids=lambda wrong: str(wrong)
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        FaceSettings(**wrong)  # type: ignore[arg-type]


def test_no_face_at_all_is_one_sentence(clip: Avatar) -> None:
    empty = replace(clip, frames=tuple(replace(frame, landmarks=None) for frame in clip.frames))
    with pytest.raises(FaceError, match="no face in any frame"):
        prepare_faces(empty, encode, FaceSettings())


def test_a_face_outside_the_picture_is_no_face(clip: Avatar) -> None:
    points = clip.frames[0].landmarks
    assert points is not None
    away = replace(clip.frames[0], landmarks=points + np.float32(2000))
    faces = prepare_faces(
        replace(clip, frames=(clip.frames[0], away)), encode, FaceSettings.published("v1")
    )
    assert faces.plans[1] is None and not faces.latents[1].any()


def test_a_face_at_the_edge_is_prepared(clip: Avatar) -> None:
    points = clip.frames[0].landmarks
    assert points is not None
    width = clip.size[0]
    offset = np.array([points[:, 0].mean(), 0], np.float32)
    for moved in (points - offset, points - offset + np.array([width, 0], np.float32)):
        frame = replace(clip.frames[0], landmarks=moved.astype(np.float32))
        faces = prepare_faces(replace(clip, frames=(frame,)), encode, FaceSettings())
        plan = faces.plans[0]
        assert plan is not None and plan.box.clip(*clip.size) != plan.box
        assert plan.region.width > 0 and plan.region == plan.region.clip(*clip.size)


def test_other_landmarks_and_labels_can_be_used(portrait: Avatar) -> None:
    points = portrait.frames[0].landmarks
    assert points is not None
    seen = []

    def parse(square: np.ndarray) -> np.ndarray:
        seen.append(square.shape)
        return np.full((512, 512), 1, np.uint8)

    def locate(picture: np.ndarray) -> np.ndarray:
        return landmarks_68(points) + np.array([3, 0], np.float32)

    settings = FaceSettings(landmarks="dwpose", labels="bisenet")
    faces = prepare_faces(portrait, encode, settings, locate=locate, parse=parse)
    plain = prepare_faces(portrait, encode, FaceSettings())
    plan, usual = faces.plans[0], plain.plans[0]
    assert plan is not None and usual is not None
    assert plan.box.left == usual.box.left + 3
    side = crop_square(plan.box).width
    assert seen == [(side, side, 3)]


def test_what_is_prepared_survives_the_file(
    clip: Avatar, portrait: Avatar, faces: PreparedFaces, tmp_path: Path
) -> None:
    again = PreparedFaces.from_arrays(faces.to_arrays())
    assert again.settings == faces.settings and again.squares == faces.squares
    for before, after in zip(faces.plans, again.plans, strict=True):
        if before is None or after is None:
            assert before is after
        else:
            assert (before.box, before.region) == (after.box, after.region)
            assert np.array_equal(before.mask, after.mask)
    still = prepare_faces(portrait, encode, FaceSettings(checkpoint="abc"))
    save_avatar(attach(portrait, still), tmp_path / "anna.avatar")
    loaded = load_avatar(tmp_path / "anna.avatar")
    stored = stored_faces(loaded, still.settings)
    assert stored is not None and np.array_equal(stored.latents, still.latents)
    assert np.array_equal(np.asarray(loaded["face_latent"]), still.latents)
    plan = still.plans[0]
    assert plan is not None and np.array_equal(loaded["mask"][0], plan.mask)


def test_what_was_prepared_otherwise_is_not_used(clip: Avatar, faces: PreparedFaces) -> None:
    ready = attach(clip, faces)
    assert stored_faces(clip, faces.settings) is None
    assert stored_faces(ready, faces.settings) is not None
    assert stored_faces(ready, replace(faces.settings, checkpoint="other")) is None


@pytest.mark.parametrize("name", ["face_latent", "mask", "settings", "region", "found"])
def test_damaged_arrays_are_one_sentence(faces: PreparedFaces, name: str) -> None:
    arrays = faces.to_arrays()
    arrays[name] = np.array("{") if name == "settings" else arrays[name][:-3]
    with pytest.raises(ArchiveError, match="prepare the avatar again"):
        PreparedFaces.from_arrays(arrays)
    with pytest.raises(ArchiveError):
        PreparedFaces.from_arrays({key: value for key, value in arrays.items() if key != name})


def test_putting_back_the_face_itself_changes_the_picture_little(portrait: Avatar) -> None:
    """The way in and the way out meet: what was cut out goes back to where it was."""
    pixels = portrait.frames[0].pixels
    plan = prepare_faces(portrait, encode, FaceSettings()).plans[0]
    assert plan is not None
    patch, region = blend(pixels, crop_face(pixels, plan.box, 256), plan)
    difference = np.abs(patch.astype(int) - pixels[region.slices].astype(int))
    assert difference.mean() < 2 and difference.max() < 64
