"""A damaged or forged avatar is refused in one sentence, before it can do harm."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lipstream.avatar import archive
from lipstream.avatar.storage import load_avatar
from lipstream.errors import ArchiveError
from tests.avatar.archives import Entries, read_entries, write_entries

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar


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


@pytest.mark.slow
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


def resized(entries: Entries) -> dict[str, dict[str, Any]]:
    """What is said of the entries, with one size that is not so."""
    said = describe(entries)
    said["landmarks.npy"]["size"] += 1
    return said


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


def landmarks(change: Callable[[NDArray[Any]], object]) -> Callable[[Entries], Entries]:
    """The landmarks of the first frame after `change`."""

    def changed(manifest: dict[str, Any], entries: Entries) -> None:
        points = np.load(io.BytesIO(entries["landmarks.npy"]))
        points[0] = change(points[0])
        packed = io.BytesIO()
        np.lib.format.write_array(packed, points, (1, 0))
        entries["landmarks.npy"] = packed.getvalue()

    return forged(changed)


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
    "high fps": (with_field("fps", "120"), "manifest.json is not"),
    "endless fps": (with_field("fps", "1e999999999"), "manifest.json is not"),
    "no fps": (with_field("fps", "1/0"), "manifest.json is not"),
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
    "another size than was said": (
        forged(lambda manifest, entries: manifest.update(entries=resized(entries))),
        "landmarks.npy is not as",
    ),
    "a point": (landmarks(lambda points: points * 0 + 99), "landmarks.npy is not as"),
    "a giant": (landmarks(lambda points: points * 50), "landmarks.npy is not as"),
    "a face elsewhere": (landmarks(lambda points: points + 3000), "landmarks.npy is not as"),
    "points far off": (
        landmarks(lambda points: np.r_[points[:-1], [[9e4, 9e4]]]),
        "landmarks.npy is not as",
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


@pytest.mark.parametrize("padding", [0, 10_000_000], ids=["smaller", "no smaller"])
def test_what_is_compressed_is_refused_before_it_is_read(saved: Path, padding: int) -> None:
    """A few bytes could become many, also where the file is as large as its entries."""
    entries = read_entries(saved)
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content)
        file.start_dir += padding
    assert sum(map(len, entries.values())) < 10_000_000
    with pytest.raises(ArchiveError, match="its directory is not as it was saved"):
        load_avatar(saved)


def test_a_manifest_has_a_bound(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipstream.avatar.archive.MAX_MANIFEST", 500)
    with pytest.raises(ArchiveError, match=r"manifest.json is not as it was saved"):
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
