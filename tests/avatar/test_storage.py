from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lipstream.avatar import storage
from lipstream.avatar.avatar import join_ragged
from lipstream.avatar.builder import build_avatar
from lipstream.avatar.storage import load_avatar, save_avatar
from lipstream.config import AvatarConfig
from lipstream.errors import ArchiveError, OutputError
from tests.avatar.scenes import covered, write_clip

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.media.image import Image


@pytest.fixture(scope="module")
def still(portrait_path: Path) -> Avatar:
    return build_avatar(portrait_path, AvatarConfig())


@pytest.fixture(scope="module")
def moving(portrait: Image, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    """Eighteen frames, the last seven without a face."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    frames = [*[portrait] * 11, *[covered(portrait)] * 7]
    return build_avatar(write_clip(path, frames), AvatarConfig())


@pytest.fixture
def saved(moving: Avatar, tmp_path: Path) -> Path:
    save_avatar(moving, tmp_path / "anna")
    return tmp_path / "anna"


@pytest.mark.parametrize("kind", ["still", "moving"])
def test_what_is_loaded_is_what_was_saved(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    avatar: Avatar = request.getfixturevalue(kind)
    save_avatar(avatar, tmp_path / "people" / "anna")
    again = load_avatar(tmp_path / "people" / "anna")
    assert (again.digest, again.moving, again.report) == (
        avatar.digest,
        avatar.moving,
        avatar.report,
    )
    for before, after in zip(avatar.frames, again.frames, strict=True):
        assert before.shot == after.shot
        assert isinstance(before.source, bytes) == isinstance(after.source, bytes)
        assert (before.pixels == after.pixels).all()
        if before.landmarks is None:
            assert after.landmarks is None
        else:
            assert after.landmarks is not None
            assert np.array_equal(before.landmarks, after.landmarks)
            assert not after.landmarks.flags.writeable
    assert list((tmp_path / "people").iterdir()) == [tmp_path / "people" / "anna"]


EXTRA = {
    "face_latent": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4),
    **join_ragged("mask", [np.full((2, 3), 7, np.uint8), np.full((4, 1), 9, np.uint8)]),
    "settings": np.array("{}"),
}


def test_what_a_backend_prepared_is_kept(still: Avatar, tmp_path: Path) -> None:
    save_avatar(replace(still, extras={"musetalk": EXTRA}), tmp_path / "anna")
    again = load_avatar(tmp_path / "anna")
    assert set(again.extras) == {"musetalk"} and set(again.extras["musetalk"]) == set(EXTRA)
    for name, array in EXTRA.items():
        stored = again.extras["musetalk"][name]
        assert np.array_equal(stored, array) and stored.dtype == array.dtype
        assert not stored.flags.writeable
    assert np.array_equal(np.asarray(again["face_latent"]), EXTRA["face_latent"])
    first, second = again["mask"]
    assert (first == np.full((2, 3), 7)).all() and (second == np.full((4, 1), 9)).all()


@pytest.mark.parametrize("damage", ["half", "gone", "elsewhere", "pickle"])
def test_damage_to_what_a_backend_prepared_is_told(
    still: Avatar, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "anna"
    save_avatar(replace(still, extras={"musetalk": EXTRA}), folder)
    if damage == "half":
        shortened("extras/musetalk.npz", 300)(folder)
    elif damage == "gone":
        (folder / "extras" / "musetalk.npz").unlink()
    elif damage == "elsewhere":
        edited(moved_extra, sealed=True)(folder)
    else:
        pickled(folder, "extras/musetalk.npz")
    with pytest.raises(ArchiveError, match="is damaged: (musetalk.npz|extras/|avatar.json)"):
        load_avatar(folder)


def moved_extra(index: dict[str, object]) -> None:
    files = index["files"]
    assert isinstance(files, dict)
    files["extras/../../secret.npz"] = files.pop("extras/musetalk.npz")


def test_an_older_avatar_is_replaced_whole(saved: Path, still: Avatar) -> None:
    save_avatar(still, saved)
    assert load_avatar(saved).digest == still.digest
    assert not list(saved.glob("frames/*.jpg"))
    assert list(saved.parent.iterdir()) == [saved]


def test_an_older_avatar_survives_a_failure(
    saved: Path, still: Avatar, moving: Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "_store", full)
    with pytest.raises(OutputError, match="disk is full"):
        save_avatar(still, saved)
    assert load_avatar(saved).digest == moving.digest
    assert list(saved.parent.iterdir()) == [saved]


def test_a_foreign_folder_is_never_replaced(still: Avatar, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"dear to someone")
    with pytest.raises(OutputError, match="is not a prepared avatar"):
        save_avatar(still, tmp_path / "holiday")
    with pytest.raises(OutputError, match="is not a prepared avatar"):
        save_avatar(still, tmp_path / "holiday" / "beach.jpg")
    with pytest.raises(OutputError, match="cannot be written"):
        save_avatar(still, tmp_path / "holiday" / "beach.jpg" / "anna")
    assert (tmp_path / "holiday" / "beach.jpg").read_bytes() == b"dear to someone"
    (tmp_path / "new").mkdir()
    save_avatar(still, tmp_path / "new")
    assert load_avatar(tmp_path / "new").digest == still.digest


def edited(change: Callable[[dict[str, object]], object], sealed: bool) -> Callable[[Path], None]:
    """Change the index; `sealed` as a forger would, with the seal made anew."""

    def edit(folder: Path) -> None:
        index = json.loads((folder / "avatar.json").read_text())
        seal = index.pop("seal")
        change(index)
        index["seal"] = storage._seal(index) if sealed else seal
        (folder / "avatar.json").write_text(json.dumps(index))

    return edit


def shortened(name: str, keep: int) -> Callable[[Path], None]:
    def shorten(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:keep])

    return shorten


def flipped(name: str) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)

    return flip


def pickled(folder: Path, name: str = "landmarks.npz") -> None:
    """A forged file of arrays that would run code if it were unpickled."""
    np.savez(folder / name, points=np.array([{"a": 1}], dtype=object))
    digest = storage._store(folder / name, (folder / name).read_bytes())

    def rehash(index: dict[str, object]) -> None:
        files = index["files"]
        assert isinstance(files, dict)
        files[name] = digest

    edited(rehash, sealed=True)(folder)


def renamed_frames(index: dict[str, object]) -> None:
    files = index["files"]
    assert isinstance(files, dict)
    files["../../secret.jpg"] = files.pop("frames/000003.jpg")


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no index": (lambda folder: (folder / "avatar.json").unlink(), "is not a prepared avatar"),
    "no landmarks": (lambda folder: (folder / "landmarks.npz").unlink(), "landmarks.npz is miss"),
    "no frame": (lambda folder: (folder / "frames/000007.jpg").unlink(), "000007.jpg is missing"),
    "no frames": (lambda folder: shutil.rmtree(folder / "frames"), "000000.jpg is missing"),
    "half an index": (shortened("avatar.json", 300), "avatar.json is not as"),
    "empty index": (shortened("avatar.json", 0), "avatar.json is not as"),
    "half landmarks": (shortened("landmarks.npz", 500), "landmarks.npz is not as"),
    "half a frame": (shortened("frames/000002.jpg", 500), "000002.jpg is not as"),
    "bit in index": (flipped("avatar.json"), "avatar.json is not as"),
    "bit in landmarks": (flipped("landmarks.npz"), "landmarks.npz is not as"),
    "bit in frame": (flipped("frames/000004.jpg"), "000004.jpg is not as"),
    "edited": (edited(lambda index: index.update(digest="0"), sealed=False), "avatar.json is not"),
    "version": (edited(lambda index: index.update(version=2), sealed=True), "another version"),
    "format": (edited(lambda index: index.update(format="x"), sealed=True), "avatar.json is not"),
    "no report": (edited(lambda index: index.pop("report"), sealed=True), "avatar.json is not"),
    "list report": (edited(lambda index: index.update(report=[]), sealed=True), "avatar.json is"),
    "empty report": (edited(lambda index: index.update(report={}), sealed=True), "avatar.json is"),
    "shots": (edited(lambda index: index.update(shots=[0]), sealed=True), "avatar.json is not"),
    "odd shots": (edited(lambda index: index.update(shots=["a"] * 18), sealed=True), "avatar.json"),
    "still": (edited(lambda index: index.update(moving=False), sealed=True), "avatar.json is not"),
    "path": (edited(renamed_frames, sealed=True), "avatar.json is not"),
    "pickle": (pickled, "landmarks.npz is not as"),
    "not an object": (lambda folder: (folder / "avatar.json").write_text("[1]"), "avatar.json is"),
    "deep": (lambda folder: (folder / "avatar.json").write_text("[" * 200_000), "avatar.json is"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_told_in_one_sentence(saved: Path, name: str) -> None:
    damage, sentence = DAMAGE[name]
    damage(saved)
    with pytest.raises(ArchiveError, match=sentence) as caught:
        load_avatar(saved)
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_forged_frame_of_another_size_is_refused(saved: Path, moving: Avatar) -> None:
    def enlarge(index: dict[str, object]) -> None:
        report = index["report"]
        assert isinstance(report, dict)
        report["width"] = 4000

    edited(enlarge, sealed=True)(saved)
    with pytest.raises(ArchiveError, match="000000.jpg is not as"):
        load_avatar(saved)


def test_a_picture_is_no_folder(portrait_path: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="cannot be read"):
        load_avatar(portrait_path)
    with pytest.raises(ArchiveError, match="not a prepared avatar"):
        load_avatar(tmp_path / "nobody")
