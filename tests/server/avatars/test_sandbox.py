"""Uploads are read within limits, as what they hold and not as what they claim to be."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from lipstream.avatar.storage import load_avatar
from lipstream.server.errors import ApiError
from lipstream.server.settings import MEBIBYTE, UploadLimits
from tests.heif_files import write_tiles
from tests.media_files import tone, write_sound, write_wav
from tests.server.avatars.isolation import hour_of_silence, isolated
from tests.server.avatars.portraits import PORTRAIT


def png_header(width: int, height: int) -> bytes:
    """A picture of any size in a hundred bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def gif_header(width: int, height: int) -> bytes:
    """A canvas of any size whose one picture is a pixel, packed like a zip bomb."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0, 0, 0) + b"\0\0\0\xff\xff\xff"
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00;"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("huge.png", png_header(50_000, 50_000)),
        ("wide.png", png_header(2_000_000_000, 1)),
        ("huge.gif", gif_header(65_535, 65_535)),
    ],
)
@pytest.mark.parametrize("work", ["probe", "avatar"])
def test_a_picture_s_header_tells_enough(
    tmp_path: Path, name: str, content: bytes, work: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ApiError) as refused:
        isolated(tmp_path / name, work)
    assert refused.value.status_code == 413
    assert name in refused.value.detail and "50 million" in refused.value.detail


@pytest.mark.slow
def test_a_large_picture_is_within_the_limits(tmp_path: Path) -> None:
    """Almost 50 million pixels."""
    path = tmp_path / "large.png"
    Pillow.new("RGB", (7_000, 7_000), (90, 90, 90)).save(path, compress_level=1)
    assert isolated(path, "probe")["kind"] == "image"
    with pytest.raises(ApiError) as refused:
        isolated(path, "avatar")
    assert refused.value.code == "no_face"  # read to the end, within the memory allowed


def test_a_portrait_becomes_an_avatar(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    path.write_bytes(PORTRAIT)
    done = isolated(path, "avatar")
    assert done["frames"] == 1 and load_avatar(tmp_path / "out.avatar").size == (256, 256)
    assert 0 < done["peak_bytes"] < 1024 * MEBIBYTE


@pytest.mark.parametrize(
    ("kind", "pictures", "work"), [("TIFF", 1, "image"), ("AVIF", 1, "image"), ("GIF", 2, "video")]
)
def test_the_content_decides_what_it_is(
    tmp_path: Path, kind: str, pictures: int, work: str
) -> None:
    path = tmp_path / "photo.jpg"
    shades = [Pillow.new("RGB", (64, 64), (shade, 90, 60)) for shade in range(90, 90 + pictures)]
    options = {"save_all": True, "append_images": shades[1:]} if pictures > 1 else {}
    shades[0].save(path, kind, **options)
    assert isolated(path, "probe")["kind"] == work


def test_a_photo_of_a_phone_is_a_picture(tmp_path: Path) -> None:
    path = write_tiles(tmp_path / "IMG_0001.HEIC", np.full((96, 96, 3), 90, np.uint8), 64)
    assert isolated(path, "probe")["kind"] == "image"
    with pytest.raises(ApiError) as refused:
        isolated(path, "avatar")
    assert refused.value.code == "no_face"  # it was read


@pytest.mark.slow
@pytest.mark.parametrize(
    ("codec", "name"),
    [("flac", "silence.flac"), ("mp3", "silence.mp3")],
)
def test_anhour_of_silence_is_stopped_on_the_way(tmp_path: Path, codec: str, name: str) -> None:
    """Small on the disk, 690 MB decoded: counted, not trusted."""
    path = hour_of_silence(tmp_path / name, codec)
    assert path.stat().st_size < 64 * MEBIBYTE
    with pytest.raises(ApiError) as refused:
        isolated(path, "speech")
    assert refused.value.status_code == 413 and "longer than 600 s" in refused.value.detail
    assert (tmp_path / "out.avatar").stat().st_size <= 600 * 96_000


def test_loud_formats_are_stopped_by_their_size(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "wide.wav", np.zeros((48_000 * 20, 2), np.int16), 48_000)
    limits = UploadLimits(audio_bytes=4 * MEBIBYTE)
    with pytest.raises(ApiError) as refused:
        isolated(path, "speech", limits)
    assert refused.value.status_code == 413 and "4 MiB decoded" in refused.value.detail


@pytest.mark.slow
def test_decoding_ten_minutes_takes_little_memory(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "long.wav", np.zeros(599 * 16_000, np.int16), 16_000)
    done = isolated(path, "speech")
    assert done["samples"] == 599 * 48_000
    assert done["peak_bytes"] < 300 * MEBIBYTE


@pytest.mark.slow
def test_a_picture_may_take_less_time_than_a_clip(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    path = tmp_path / "slow.jpg"
    Pillow.new("RGB", (5_000, 5_000), (90, 90, 90)).save(path, progressive=True)
    data = path.read_bytes()
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    path.write_bytes(data[:end] + data[last:end] * 80 + data[end:])  # each is one more pass
    limits = UploadLimits(picture_cpu_s=1)
    with pytest.raises(ApiError) as refused:
        isolated(path, "avatar", limits)
    assert "limits of time and memory" in refused.value.detail


@pytest.mark.parametrize("announced", [2**30, 10**6])
def test_a_wav_that_lies_about_its_size_is_refused(tmp_path: Path, announced: int) -> None:
    path = write_wav(tmp_path / "lie.wav", np.zeros(1000, np.int16), 16_000, announced)
    with pytest.raises(ApiError) as refused:
        isolated(path, "speech")
    assert refused.value.status_code == 400 and "cut short" in refused.value.detail


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_speech_of_any_rate_becomes_what_listeners_hear(tmp_path: Path, rate: int) -> None:
    path = write_wav(tmp_path / "a.wav", np.asarray(tone(1, rate) * 32767, np.int16), rate)
    done = isolated(path, "speech")
    assert done["sample_rate"] == 48_000 and abs(done["samples"] - 48_000) <= 1
    played = np.fromfile(tmp_path / "out.avatar", "<i2") / 32767
    inner = slice(4_800, 43_200)
    assert np.abs(played[inner] - tone(1, 48_000)[inner]).max() < 0.01


MUTANTS = 6


@pytest.mark.slow
@pytest.mark.parametrize("work", ["probe", "speech"])
def test_damaged_files_are_refused_in_a_sentence(tmp_path: Path, work: str) -> None:
    """Cut, overwritten and mixed up; a thousand more kinds of damage are looked at at night."""
    sound = write_sound(tmp_path / "a.mp3", tone(1, 44_100), 44_100, "mp3").read_bytes()
    random = np.random.default_rng(7)
    sources = (PORTRAIT, sound)
    for number in range(MUTANTS):
        content = bytearray(sources[number % 2])
        for place in random.integers(0, len(content), 40):
            content[place] = int(random.integers(256))
        path = tmp_path / f"mutant{number}"
        path.write_bytes(content[: int(random.integers(20, len(content)))])
        (tmp_path / "out.avatar").unlink(missing_ok=True)
        try:
            isolated(path, work)
        except ApiError as refusal:
            assert refusal.status_code in (400, 413)
            assert str(tmp_path) not in refusal.detail
