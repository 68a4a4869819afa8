from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from lipstream.errors import PictureError
from lipstream.media.pictures.picture_file import picture_kind

CONFIG = AvatarConfig()


def quarters(mode: str = "RGB") -> Pillow.Image:
    """96x64; red, green, blue and white quarters, row by row."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:32, :48], pixels[:32, 48:] = (255, 0, 0), (0, 255, 0)
    pixels[32:, :48], pixels[32:, 48:] = (0, 0, 255), (255, 255, 255)
    return Pillow.fromarray(pixels).convert(mode)


def encoded(picture: Pillow.Image, kind: str, **options: Any) -> bytes:
    packed = io.BytesIO()
    picture.save(packed, kind, **options)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode", "tolerance"),
    [
        ("PNG", "RGB", 0),
        ("PNG", "RGBA", 0),
        ("PNG", "P", 0),
        ("BMP", "RGB", 0),
        ("TIFF", "RGB", 0),
        ("TIFF", "RGBA", 0),
        ("TIFF", "P", 0),
        ("TIFF", "CMYK", 0),
        ("AVIF", "RGB", 40),
        ("JPEG2000", "RGB", 0),
        ("GIF", "P", 0),
        ("JPEG", "RGB", 12),
        ("JPEG", "CMYK", 12),
        ("WEBP", "RGB", 12),
        ("WEBP", "RGBA", 12),
    ],
)
def test_every_format_gives_its_colours(
    tmp_path: Path, kind: str, mode: str, tolerance: int
) -> None:
    path = tmp_path / "face"
    path.write_bytes(encoded(quarters(mode), kind))
    assert picture_kind(path) == "still"
    image = read_picture(path, CONFIG)
    assert image.shape == (64, 96, 3)
    assert image.dtype == np.uint8
    for place, colour in (((8, 8), (255, 0, 0)), ((8, 88), (0, 255, 0)), ((56, 8), (0, 0, 255))):
        assert np.abs(image[place].astype(int) - colour).max() <= tolerance


def test_grey_of_eight_and_sixteen_bits(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)[None].repeat(64, axis=0)
    (tmp_path / "8.png").write_bytes(encoded(Pillow.fromarray(ramp), "PNG"))
    (tmp_path / "16.png").write_bytes(
        encoded(Pillow.fromarray(ramp.astype(np.uint16) * 257), "PNG")
    )
    expected = ramp[..., None].repeat(3, axis=2)
    assert (read_picture(tmp_path / "8.png", CONFIG) == expected).all()
    assert (read_picture(tmp_path / "16.png", CONFIG) == expected).all()


def test_transparency_is_laid_over_the_background(tmp_path: Path) -> None:
    picture = quarters("RGBA")
    alpha = np.array([[0, 128]], np.uint8).repeat(48, axis=1).repeat(64, axis=0)
    picture.putalpha(Pillow.fromarray(alpha))
    (tmp_path / "a.png").write_bytes(encoded(picture, "PNG"))
    image = read_picture(tmp_path / "a.png", AvatarConfig(background=(0, 100, 200)))
    assert tuple(image[8, 8]) == (0, 100, 200)
    assert np.abs(image[8, 88].astype(int) - (0, 178, 100)).max() <= 1


def test_a_palette_colour_may_be_transparent(tmp_path: Path) -> None:
    red = quarters("P").tobytes()[0]
    data = encoded(quarters("P"), "PNG", transparency=red)
    (tmp_path / "p.png").write_bytes(data)
    assert tuple(read_picture(tmp_path / "p.png", CONFIG)[8, 8]) == (255, 255, 255)


# By the EXIF tag: what was done to the upright picture to store it, from EXIF 2.3, 4.6.4.
STORED = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image, -1),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
@pytest.mark.parametrize("tag", STORED)
def test_pictures_come_upright(tmp_path: Path, kind: str, tag: int) -> None:
    upright = np.asarray(quarters())
    stored = Pillow.fromarray(np.ascontiguousarray(STORED[tag](upright)))
    exif = Pillow.Exif()
    exif[274] = tag
    (tmp_path / "turned").write_bytes(encoded(stored, kind, exif=exif))
    image = read_picture(tmp_path / "turned", CONFIG)
    assert image.shape == upright.shape
    inner = np.s_[8:24, 8:40], np.s_[8:24, 56:88], np.s_[40:56, 8:40], np.s_[40:56, 56:88]
    for part in inner:
        assert np.abs(image[part].mean(axis=(0, 1)) - upright[part][0, 0]).max() < 40


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_stays_grey(tmp_path: Path, mode: str) -> None:
    (tmp_path / "g.png").write_bytes(encoded(quarters("L").convert(mode), "PNG"))
    image = read_picture(tmp_path / "g.png", CONFIG)
    assert (image == image[..., :1]).all()
    assert np.unique(image).size > 1 and image.max() == 255


@pytest.mark.parametrize(
    ("white", "kind"),
    [
        (np.uint16(65_535), "PNG"),
        (np.uint16(65_535), "TIFF"),
        (np.int32(65_535), "TIFF"),
        (np.float32(1), "TIFF"),
        (np.float32(255), "TIFF"),
    ],
)
def test_deep_grey_is_scaled_to_its_white(tmp_path: Path, white: np.generic, kind: str) -> None:
    ramp = np.linspace(0, 1, 64)[None].repeat(64, axis=0)
    deep = (ramp * float(white)).astype(white.dtype)
    (tmp_path / "deep").write_bytes(encoded(Pillow.fromarray(deep), kind))
    image = read_picture(tmp_path / "deep", CONFIG)
    assert np.abs(image[..., 1] - ramp * 255).max() <= 1


def test_deep_colour_keeps_its_place(tmp_path: Path) -> None:
    """Pillow cannot write it: 16 bits for each of red, green and blue."""
    ok, data = cv2.imencode(".png", np.full((64, 64, 3), (90, 120, 200), np.uint16) * 257)
    assert ok
    (tmp_path / "deep.png").write_bytes(data.tobytes())
    assert (read_picture(tmp_path / "deep.png", CONFIG) == (200, 120, 90)).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "AVIF", "WEBP"])
def test_the_name_does_not_matter(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(quarters(), kind))
    assert read_picture(tmp_path / "a.jpg", CONFIG).shape == (64, 96, 3)


def test_a_picture_of_several_pages_is_the_first(tmp_path: Path) -> None:
    others = [Pillow.new("RGB", (96, 64), (9, 9, 9))]
    for kind in ("TIFF", "MPO"):
        path = tmp_path / kind
        path.write_bytes(encoded(quarters(), kind, save_all=True, append_images=others))
        assert picture_kind(path) == "still"
        assert np.abs(read_picture(path, CONFIG)[8, 8].astype(int) - (255, 0, 0)).max() < 12


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    others = [Pillow.new("RGB", (96, 64), (9, 9, 9))]
    for kind in ("WEBP", "GIF"):
        path = tmp_path / kind
        path.write_bytes(encoded(quarters(), kind, save_all=True, append_images=others))
        assert np.abs(read_picture(path, CONFIG)[8, 8].astype(int) - (255, 0, 0)).max() < 12


def test_large_pictures_are_shrunk_without_aliasing(tmp_path: Path) -> None:
    stripes = np.zeros((600, 400, 3), np.uint8)
    stripes[:, ::2] = 255
    (tmp_path / "s.png").write_bytes(encoded(Pillow.fromarray(stripes), "PNG"))
    image = read_picture(tmp_path / "s.png", AvatarConfig(max_side=150))
    assert image.shape == (150, 100, 3)
    assert np.abs(image[5:-5, 5:-5].astype(int) - 127).max() < 25


def huge_png(width: int, height: int) -> bytes:
    """A png whose header promises more than it holds."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = b""
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b"")):
        check = zlib.crc32(name + content)
        chunks += struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"Dear photographer,\nplease find", "is not a picture"),
        (huge_png(20_000, 20_000), "more than the 50,000,000 allowed"),
        (huge_png(10_001, 10_000), "10001x10000 = 100,010,000 pixels"),
        (huge_png(300, 300), "damaged or cut short"),
        (encoded(quarters(), "PNG")[:150], "damaged or cut short"),
        (encoded(quarters(), "JPEG")[:-200], "damaged or cut short"),
        (encoded(quarters(), "BMP")[:500], "damaged or cut short"),
        (encoded(Pillow.new("RGB", (1, 1)), "PNG"), "only 1x1 pixels"),
    ],
    ids=["empty", "text", "20000", "10001", "hollow", "png", "jpg", "bmp", "1x1"],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "face.png"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=sentence) as caught:
        read_picture(path, CONFIG)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="does not exist"):
        read_picture(tmp_path / "nobody.png", CONFIG)
    with pytest.raises(PictureError, match="is a folder"):
        read_picture(tmp_path, CONFIG)


ORIGINALS = [
    encoded(quarters("P"), "PNG"),
    encoded(quarters("RGBA"), "WEBP"),
    encoded(quarters(), "JPEG"),
    encoded(quarters("P"), "GIF"),
    encoded(quarters(), "BMP"),
    encoded(quarters(), "TIFF", compression="tiff_lzw"),
    encoded(quarters(), "AVIF"),
]


@settings(max_examples=60, deadline=None)
@given(
    original=st.sampled_from(ORIGINALS),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
    length=st.floats(0.05, 1),
)
def test_damage_gives_a_picture_or_one_error(
    tmp_path_factory: pytest.TempPathFactory,
    original: bytes,
    changes: list[tuple[float, int]],
    length: float,
) -> None:
    data = bytearray(original)
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data[: max(1, int(len(data) * length))])
    try:
        assert read_picture(path, CONFIG).shape[2] == 3
    except PictureError as error:
        assert "\n" not in str(error)
