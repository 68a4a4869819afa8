"""A saved avatar is loaded bit for bit, and every other file is refused in one sentence."""

from __future__ import annotations

import io
import json
import os
import struct
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from lipstream.avatar import archive, storage
from lipstream.avatar.avatar import join_ragged
from lipstream.avatar.builder import build_avatar
from lipstream.avatar.storage import load_avatar, save_avatar
from lipstream.errors import ArchiveError, OptionError, OutputError
from tests.avatar.scenes import covered, write_clip

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Arrays, Avatar
    from lipstream.media.image import Image

    Entries = dict[str, bytes]

MASKS = [np.full((2, 3), 7, np.uint8), np.full((4, 1), 9, np.uint8)]
MUSETALK = {
    "face_latent": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4),
    **join_ragged("mask", MASKS),
    "settings": np.array("{}"),
}


class Interruption(BaseException):
    """Like KeyboardInterrupt, which pytest keeps for itself."""


@pytest.fixture(scope="module")
def still(portrait_path: Path) -> Avatar:
    return build_avatar(portrait_path)


@pytest.fixture(scope="module")
def moving(portrait: Image, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    """Eighteen frames, the last seven without a face; prepared for musetalk."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    frames = [*[portrait] * 11, *[covered(portrait)] * 7]
    return replace(build_avatar(write_clip(path, frames)), extras={"musetalk": MUSETALK})


@pytest.fixture
def saved(moving: Avatar, tmp_path: Path) -> Path:
    path = tmp_path / "anna.avatar"
    save_avatar(moving, path)
    return path


def read_entries(path: Path) -> Entries:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def write_entries(path: Path, entries: Entries, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in entries.items():
            file.writestr(name, content)


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


# Damage to the file's bytes.


def flipped(find: bytes, offset: int = 0) -> Callable[[bytes], bytes]:
    def flip(content: bytes) -> bytes:
        data = bytearray(content)
        data[content.index(find) + offset] ^= 1
        return bytes(data)

    return flip


def end_record(**changes: int) -> Callable[[bytes], bytes]:
    """Another end of the archive: its numbers are disks, counts, length, start, comment."""

    def change(content: bytes) -> bytes:
        names = ("magic", "disk", "first", "here", "count", "length", "start", "comment")
        fields = dict(zip(names, archive.END.unpack(content[-22:]), strict=True))
        return content[:-22] + archive.END.pack(*{**fields, **changes}.values())

    return change


BYTES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda content: b"", "is empty; copy"),
    "text": (lambda content: b"Dear photographer" * 100, "is not a prepared avatar; give"),
    "zeros": (lambda content: bytes(len(content)), "is not a prepared avatar; give"),
    "no start": (lambda content: content[4:], "is not a prepared avatar; give"),
    "first bytes": (lambda content: content[:10], "is cut short"),
    "half": (lambda content: content[: len(content) // 2], "is cut short"),
    "all but a byte": (lambda content: content[:-1], "is cut short"),
    "more at the end": (lambda content: content + b"\0", "is cut short"),
    "more before": (lambda content: content[:4] + content, "its directory is not as"),
    "another end": (lambda content: content + content[-22:], "its directory is not as"),
    "a directory too large": (end_record(length=1 << 30), "its directory is not as"),
    "a directory elsewhere": (end_record(start=4), "its directory is not as"),
    "a shorter directory": (end_record(length=0), "its directory is not as"),
    "a bit in the picture": (flipped(b"frames/000003.jpg", 900), "000003.jpg is not as"),
    "a bit in the landmarks": (flipped(b"landmarks.npy", 900), "landmarks.npy is not as"),
    "a bit in the manifest": (flipped(b'"digest": ', 15), "manifest.json is not as"),
    "a bit in a name": (flipped(b"frames/000003.jpg", 10), "000003.jpg is not as"),
}


@pytest.mark.parametrize("name", BYTES)
def test_damaged_bytes_are_reported_in_one_sentence(saved: Path, name: str) -> None:
    damage, sentence = BYTES[name]
    saved.write_bytes(damage(saved.read_bytes()))
    with pytest.raises(ArchiveError, match=sentence) as caught:
        load_avatar(saved)
    assert str(saved) in str(caught.value) and "\n" not in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_noticed_or_harmless(
    saved: Path, moving: Avatar, tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(saved.read_bytes())
    # The places where a reader is steered: heads, directory, manifest.
    steering = [index for index in range(len(content)) if index < 60 or index > len(content) - 6000]
    index = data.draw(st.sampled_from(steering))
    content[index] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "changed.avatar"
    path.write_bytes(content)
    try:
        again = load_avatar(path)
    except ArchiveError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert (again.digest, again.report) == (moving.digest, moving.report)
        assert [frame.source for frame in again.frames] == [f.source for f in moving.frames]


# Forged archives: hashes and sizes fit, the content does not.


def forged(change: Callable[[dict[str, Any], Entries], object]) -> Callable[[Entries], Entries]:
    """The entries after `change` of the manifest and them; sizes and hashes are made anew."""

    def forge(entries: Entries) -> Entries:
        manifest = json.loads(entries.pop("manifest.json"))
        del manifest["entries"]
        change(manifest, entries)
        manifest.setdefault("entries", describe(entries))
        return {**entries, "manifest.json": json.dumps(manifest).encode()}

    return forge


def describe(entries: Entries) -> dict[str, dict[str, Any]]:
    return {
        name: {"size": len(content), "sha256": sha256(content).hexdigest()}
        for name, content in entries.items()
    }


def with_field(name: str, value: object) -> Callable[[Entries], Entries]:
    return forged(lambda manifest, entries: manifest.update({name: value}))


def with_report(**fields: object) -> Callable[[Entries], Entries]:
    return forged(lambda manifest, entries: manifest["report"].update(fields))


def with_entry(name: str, content: bytes) -> Callable[[Entries], Entries]:
    return forged(lambda manifest, entries: entries.update({name: content}))


def moved(old: str, new: str) -> Callable[[Entries], Entries]:
    return forged(lambda manifest, entries: entries.update({new: entries.pop(old)}))


def without(name: str) -> Callable[[Entries], Entries]:
    return lambda entries: {one: content for one, content in entries.items() if one != name}


def without_hash(name: str) -> Callable[[Entries], Entries]:
    def change(manifest: dict[str, Any], entries: Entries) -> None:
        manifest["entries"] = describe(entries)
        del manifest["entries"][name]["sha256"]

    return forged(change)


def array(header: str, data: bytes = b"") -> bytes:
    """An npy file of version 1.0 with any header."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def header(shape: object, dtype: object = "'<f4'") -> str:
    return f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}"


def pickled() -> bytes:
    """Would run code if it were unpickled."""
    packed = io.BytesIO()
    np.save(packed, np.array([{"a": 1}], dtype=object))
    return packed.getvalue()


LATENTS = "musetalk/face_latent.npy"
SMALL_JPEG = b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x10\x00\x10\x03\x01\x11\x00\x02\x11\x01\x03\x11\x01"
FORGED: dict[str, tuple[Callable[[Entries], Entries], str]] = {
    "no manifest": (without("manifest.json"), "manifest.json is not as"),
    "no landmarks": (without("landmarks.npy"), "landmarks.npy is missing"),
    "no frame": (without("frames/000007.jpg"), "000007.jpg is missing"),
    "no array": (without(LATENTS), "face_latent.npy is missing"),
    "an unknown entry": (lambda entries: {**entries, "notes.txt": b"x"}, "its directory is not"),
    "no JSON": (lambda entries: {**entries, "manifest.json": b"["}, "manifest.json is not"),
    "a list": (lambda entries: {**entries, "manifest.json": b"[1]"}, "manifest.json is not"),
    "deep": (lambda entries: {**entries, "manifest.json": b"[" * 10**5}, "manifest.json is not"),
    "too much manifest": (
        lambda entries: {**entries, "manifest.json": bytes(archive.MAX_MANIFEST + 1)},
        "manifest.json is not",
    ),
    "version": (with_field("version", 3), r"another version of lipstream \(format 3, this one"),
    "format": (with_field("format", "x"), "manifest.json is not"),
    "fps": (with_field("fps", "30"), "manifest.json is not"),
    "list report": (with_field("report", []), "manifest.json is not"),
    "empty report": (with_field("report", {}), "manifest.json is not"),
    "few shots": (with_field("shots", [0]), "manifest.json is not"),
    "odd shots": (with_field("shots", ["a"] * 18), "manifest.json is not"),
    "still": (with_field("moving", False), "manifest.json is not"),
    "odd entries": (with_field("entries", ["frames"]), "manifest.json is not"),
    "no sizes": (with_field("entries", {"landmarks.npy": {}}), "manifest.json is not"),
    "no hash": (without_hash("frames/000003.jpg"), "000003.jpg is not as"),
    "no backends": (with_field("backends", []), "manifest.json is not"),
    "odd backends": (with_field("backends", [["a"]]), "manifest.json is not"),
    "a path": (moved("frames/000003.jpg", "../../secret.jpg"), "manifest.json is not"),
    "an array's path": (moved(LATENTS, "musetalk/../secret.npy"), "manifest.json is not"),
    "a wide report": (with_report(width=4000), "000000.jpg is not as"),
    "a vast report": (with_report(width=100_000, height=100_000), "manifest.json is not as"),
    "another picture": (with_entry("frames/000002.jpg", SMALL_JPEG), "000002.jpg is not as"),
    "no picture": (with_entry("frames/000002.jpg", b"x"), "000002.jpg is not as"),
    "pickle": (with_entry("landmarks.npy", pickled()), "landmarks.npy is not as"),
    "array of pickles": (with_entry(LATENTS, pickled()), "face_latent.npy is not as"),
    "no array header": (with_entry(LATENTS, b"x"), "face_latent.npy is not as"),
    "odd header": (with_entry(LATENTS, array("{'descr'" * 99)), "face_latent.npy is not as"),
    "deep header": (with_entry(LATENTS, array("(" * 5000)), "face_latent.npy is not as"),
    "string header": (with_entry(LATENTS, array("'''")), "face_latent.npy is not as"),
    "vast array": (with_entry(LATENTS, array(header((1 << 60,)))), "face_latent.npy is not as"),
    "negative": (with_entry(LATENTS, array(header((-1, -1)), b"abcd")), "face_latent.npy is not"),
    "nothing": (
        with_entry(LATENTS, array(header((1 << 40,), "'<U0'"))),
        "face_latent.npy is not as",
    ),
    "records": (
        with_entry(LATENTS, array(header((1,), "[('a', '<f4')]"), b"abcd")),
        "face_latent.npy is not as",
    ),
    "landmarks of another shape": (
        with_entry("landmarks.npy", array(header((18, 468, 3)), bytes(18 * 468 * 12))),
        "landmarks.npy is not as",
    ),
    "landmarks of another type": (
        with_entry("landmarks.npy", array(header((18, 468, 2), "'<f8'"), bytes(18 * 468 * 16))),
        "landmarks.npy is not as",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_entries_are_reported_in_one_sentence(saved: Path, name: str) -> None:
    forge, sentence = FORGED[name]
    write_entries(saved, forge(read_entries(saved)))
    with pytest.raises(ArchiveError, match=sentence) as caught:
        load_avatar(saved)
    assert str(saved) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_of_honest_entries_by_another_program_is_read(saved: Path, moving: Avatar) -> None:
    write_entries(saved, forged(lambda manifest, entries: None)(read_entries(saved)))
    assert load_avatar(saved).digest == moving.digest


def test_what_is_compressed_is_refused_before_it_is_read(saved: Path) -> None:
    """A few bytes could become many."""
    write_entries(saved, read_entries(saved), zipfile.ZIP_DEFLATED)
    with pytest.raises(ArchiveError, match="its directory is not as it was saved"):
        load_avatar(saved)


def test_a_name_that_stands_twice_is_refused(saved: Path) -> None:
    entries = read_entries(saved)
    with zipfile.ZipFile(saved, "w") as file, pytest.warns(UserWarning, match="Duplicate name"):
        for name, content in [*entries.items(), ("landmarks.npy", entries["landmarks.npy"])]:
            file.writestr(name, content)
    with pytest.raises(ArchiveError, match="its directory is not as it was saved"):
        load_avatar(saved)


def test_entries_that_share_their_bytes_are_refused(saved: Path) -> None:
    """A directory may name the same megabytes thousands of times."""
    content = bytes(100_000)
    with zipfile.ZipFile(saved, "w") as file:
        file.writestr("frames/000000.jpg", content)
        for index in range(1, 50):
            twin = zipfile.ZipInfo(f"frames/{index:06d}.jpg")
            twin.file_size = twin.compress_size = len(content)
            twin.CRC, twin.header_offset = file.infolist()[0].CRC, 0
            file.filelist.append(twin)
    assert saved.stat().st_size < 2 * len(content)
    with pytest.raises(ArchiveError, match="its directory is not as it was saved"):
        load_avatar(saved)


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
        with pytest.raises(ArchiveError, match=reason):
            load_avatar(path)
