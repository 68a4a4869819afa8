"""HEIC photographs, in one piece and in tiles as phones take them, are pictures like any other."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from lipstream.errors import PictureError
from lipstream.media.image import Image
from lipstream.media.pictures.picture_file import open_picture, picture_kind
from lipstream.media.video_reader import read_clip
from tests.heif_files import box, write_tiles

DATA = Path(__file__).parents[2] / "data"
CONFIG = AvatarConfig()
QUARTERS = np.zeros((64, 96, 3), np.uint8)
QUARTERS[:32, :48], QUARTERS[:32, 48:] = (200, 60, 60), (60, 180, 60)
QUARTERS[32:, :48], QUARTERS[32:, 48:] = (60, 60, 200), (230, 230, 230)


def assert_alike(image: Image, expected: Image, tolerance: int = 12) -> None:
    """Both show the same colours in the middle of each quarter."""
    assert image.shape == expected.shape
    height, width = image.shape[:2]
    for row in (height // 4, height * 3 // 4):
        for column in (width // 4, width * 3 // 4):
            place = np.s_[row - 4 : row + 4, column - 4 : column + 4]
            means = image[place].mean(axis=(0, 1)), expected[place].mean(axis=(0, 1))
            assert np.abs(means[0] - means[1]).max() <= tolerance


def test_one_piece_with_a_colour_profile(tmp_path: Path) -> None:
    path = tmp_path / "IMG_0001.jpg"  # as messengers rename it
    path.write_bytes((DATA / "quarters_p3.heic").read_bytes())
    assert picture_kind(path) == "still"
    assert_alike(read_picture(path, CONFIG), QUARTERS)
    assert len(list(read_clip(path))) == 1


def test_transparency_is_laid_over_the_background() -> None:
    config = AvatarConfig(background=(0, 200, 0))
    image = read_picture(DATA / "quarters_alpha.heic", config)
    expected = QUARTERS.copy()
    expected[:32] = (0, 200, 0)
    assert_alike(image, expected)


@pytest.mark.parametrize("tile", [32, 48, 96])
def test_tiles_are_put_together(tmp_path: Path, tile: int) -> None:
    path = write_tiles(tmp_path / "a.heic", QUARTERS, tile)
    assert picture_kind(path) == "still"
    assert_alike(read_picture(path, CONFIG), QUARTERS, 25)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (box(b"irot", b"\1"), np.rot90(QUARTERS)),
        (box(b"irot", b"\2"), np.rot90(QUARTERS, 2)),
        (box(b"irot", b"\3"), np.rot90(QUARTERS, 3)),
        (box(b"imir", b"\0"), QUARTERS[::-1]),
        (box(b"imir", b"\1"), QUARTERS[:, ::-1]),
        # The right half in the middle of its height.
        (box(b"clap", struct.pack(">4IiIiI", 48, 1, 32, 1, 24, 1, 0, 1)), QUARTERS[16:48, 48:]),
    ],
)
def test_the_whole_is_turned_not_the_tiles(tmp_path: Path, change: bytes, shown: Image) -> None:
    if change[4:8] == b"clap" and av.library_versions["libavformat"][0] < 62:
        pytest.skip("needs FFmpeg 8, which reads the tiles of a picture that is cut")
    path = write_tiles(tmp_path / "a.heic", QUARTERS, 32, change)
    with open_picture(path) as picture:
        assert picture.size == shown.shape[1::-1]
    assert_alike(read_picture(path, CONFIG), shown, 25)


def test_a_missing_tile_is_damage(tmp_path: Path) -> None:
    path = write_tiles(tmp_path / "a.heic", QUARTERS, 32)
    content = path.read_bytes()
    path.write_bytes(content[:-60])
    with pytest.raises(PictureError, match="damaged or cut short"):
        read_picture(path, CONFIG)


def test_a_size_beyond_the_limit_is_refused_by_the_header(tmp_path: Path) -> None:
    path = write_tiles(tmp_path / "a.heic", QUARTERS, 32)
    with pytest.raises(PictureError, match="more than the 5,000 allowed"):
        read_picture(path, AvatarConfig(max_pixels=5_000))


def test_a_kind_that_cannot_be_put_together_says_how_to_export_it(tmp_path: Path) -> None:
    path = write_tiles(tmp_path / "a.heic", QUARTERS, 32)
    path.write_bytes(path.read_bytes().replace(b"grid\0", b"iovl\0"))
    assert picture_kind(path) is None
    with pytest.raises(PictureError, match="export it as JPEG .iPhone: Settings > Camera"):
        next(iter(read_clip(path)))
