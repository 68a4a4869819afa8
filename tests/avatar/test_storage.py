"""A saved avatar is loaded bit for bit, and an older file stays until the new one is complete."""

from __future__ import annotations

import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from lipstream.avatar import storage
from lipstream.avatar.storage import load_avatar, save_avatar
from lipstream.errors import ArchiveError, OptionError, OutputError
from tests.avatar.archives import MASKS, MUSETALK, read_entries

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Arrays, Avatar


class Interruption(BaseException):
    """Like KeyboardInterrupt, which pytest keeps for itself."""


@contextmanager
def interrupted(seconds: int) -> Iterator[None]:
    """Raise Interruption where something still waits after so long."""

    def end(number: int, frame: object) -> None:
        raise Interruption(f"it waited for {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def assert_same_arrays(one: Arrays, other: Arrays) -> None:
    assert list(one) == list(other)
    for name, array in one.items():
        assert array.dtype == other[name].dtype and array.shape == other[name].shape
        assert array.tobytes() == other[name].tobytes()  # NaN too
        assert not other[name].flags.writeable


@pytest.mark.parametrize("kind", ["still", "moving"])
def test_what_is_loaded_is_what_was_saved(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    avatar: Avatar = request.getfixturevalue(kind)
    save_avatar(avatar, tmp_path / "anna.avatar")
    again = load_avatar(tmp_path / "anna.avatar")
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
    assert list(again.extras) == list(avatar.extras)
    for backend, arrays in avatar.extras.items():
        assert_same_arrays(arrays, again.extras[backend])
    assert os.listdir(tmp_path) == ["anna.avatar"]


def test_a_loaded_avatar_answers_what_a_backend_prepared(saved: Path) -> None:
    again = load_avatar(saved)
    assert np.array_equal(np.asarray(again["face_latent"]), MUSETALK["face_latent"])
    assert [mask.tolist() for mask in again["mask"]] == [mask.tolist() for mask in MASKS]


NAMES = st.from_regex("[a-z][a-z0-9_]{0,9}", fullmatch=True)
TYPES = st.one_of(
    arrays_of.scalar_dtypes().filter(lambda dtype: dtype.kind in "biuf"),
    arrays_of.unicode_string_dtypes(max_len=5),
)
ARRAYS = TYPES.flatmap(
    lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, min_side=0))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(extras=st.dictionaries(NAMES, st.dictionaries(NAMES, ARRAYS, max_size=3), max_size=2))
def test_any_array_of_a_backend_is_kept(
    still: Avatar, tmp_path: Path, extras: dict[str, dict[str, Any]]
) -> None:
    save_avatar(replace(still, extras=extras), tmp_path / "anna.avatar")
    again = load_avatar(tmp_path / "anna.avatar").extras
    assert list(again) == list(extras)
    for backend, arrays in extras.items():
        assert_same_arrays(arrays, again[backend])


def test_the_same_avatar_gives_the_same_file_stored_uncompressed(
    moving: Avatar, saved: Path, tmp_path: Path
) -> None:
    save_avatar(load_avatar(saved), tmp_path / "again.avatar")
    assert (tmp_path / "again.avatar").read_bytes() == saved.read_bytes()
    with zipfile.ZipFile(saved) as file:
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}
    assert read_entries(saved)["frames/000004.jpg"] == moving.frames[4].source


def test_an_older_file_is_replaced(saved: Path, still: Avatar) -> None:
    save_avatar(still, saved)
    assert load_avatar(saved).digest == still.digest
    assert os.listdir(saved.parent) == [saved.name]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), Interruption()])
@pytest.mark.parametrize("entry", [0, 5, 23])
def test_an_older_file_survives_a_failure_at_any_entry(
    saved: Path, moving: Avatar, monkeypatch: pytest.MonkeyPatch, failure: BaseException, entry: int
) -> None:
    before, write, count = saved.read_bytes(), zipfile.ZipFile.writestr, 0

    def failing(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count > entry:
            raise failure
        write(*arguments)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", failing)
    for path in (saved, saved.with_name("berta.avatar")):
        count = 0
        with pytest.raises((OutputError, Interruption), match=r"^$|the disk is full"):
            save_avatar(moving, path)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_writers_of_one_path_do_not_wait_for_each_other(
    still: Avatar, moving: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one to end wins, and whoever reads meanwhile sees one file or the other."""
    path, begun, go_on = tmp_path / "anna.avatar", threading.Event(), threading.Event()
    write = storage._write

    def slow(avatar: Avatar, file: zipfile.ZipFile) -> None:
        if avatar is moving:
            begun.set()
            assert go_on.wait(60)
        write(avatar, file)

    monkeypatch.setattr(storage, "_write", slow)
    writer = threading.Thread(target=save_avatar, args=(moving, path))
    writer.start()
    assert begun.wait(60)
    save_avatar(still, path)
    assert load_avatar(path).digest == still.digest
    go_on.set()
    writer.join()
    assert load_avatar(path).digest == moving.digest
    assert os.listdir(tmp_path) == ["anna.avatar"]


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("anna", OptionError, r"only \.avatar files are written; name it anna\.avatar"),
        ("anna.zip", OptionError, r"only \.avatar files are written; name it anna\.avatar"),
        ("folder.avatar", OptionError, "is a folder; name a file in it"),
        ("missing/anna.avatar", OutputError, "does not exist; create it first"),
    ],
)
def test_a_target_that_cannot_be_is_refused(
    still: Avatar, tmp_path: Path, name: str, kind: type[Exception], reason: str
) -> None:
    (tmp_path / "folder.avatar").mkdir()
    with pytest.raises(kind, match=reason):
        save_avatar(still, tmp_path / name)
    assert os.listdir(tmp_path) == ["folder.avatar"]


def test_what_is_too_large_for_the_format_is_refused(
    still: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10_000)
    with pytest.raises(OutputError, match="would be larger than 2 GB; prepare a shorter clip"):
        save_avatar(still, tmp_path / "anna.avatar")
    assert os.listdir(tmp_path) == []


def test_a_folder_of_an_older_version_is_prepared_again(tmp_path: Path) -> None:
    folder = tmp_path / "anna"
    folder.mkdir()
    (folder / "avatar.json").write_text('{"format": "lipstream avatar", "version": 1}')
    with pytest.raises(ArchiveError, match="anna is a folder.*; prepare .* again") as caught:
        load_avatar(folder)
    assert "lipstream prepare PICTURE -o NAME.avatar" in str(caught.value)


def test_what_is_no_file_is_refused(portrait_path: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.avatar")
    for path, reason in (
        (portrait_path, "is not a prepared avatar; give"),
        (tmp_path / "nobody.avatar", "does not exist; check the name"),
        (tmp_path / "pipe.avatar", "is a pipe or a device; save"),
    ):
        with interrupted(20), pytest.raises(ArchiveError, match=reason):
            load_avatar(path)
