"""GIF, WebP, APNG and AVIF with several pictures are clips, each picture as long as it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from lipstream.errors import PictureError
from lipstream.media.pictures.picture_file import picture_kind
from lipstream.media.video_reader import read_clip
from tests.media_files import grey_levels, numbers

KINDS = ["GIF", "WEBP", "PNG", "AVIF"]


def write_animation(
    path: Path, kind: str, durations: Sequence[int], step: int = 30, **options: bool
) -> Path:
    """Grey pictures, each shown for so many milliseconds."""
    first, *others = map(Pillow.fromarray, grey_levels(len(durations), step=step))
    options = {"lossless": True} | options if kind == "WEBP" else options
    first.save(path, kind, save_all=True, append_images=others, duration=list(durations), **options)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_each_picture_is_shown_as_long_as_it_asks_for(tmp_path: Path, kind: str) -> None:
    path = write_animation(tmp_path / "a", kind, [40, 120, 200, 40])
    assert picture_kind(path) == "animation"
    assert numbers(read_clip(path), step=30) == [0, 1, 1, 1, 2, 2, 2, 2, 2, 3]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_no_duration_is_a_tenth_of_a_second(tmp_path: Path, kind: str) -> None:
    path = write_animation(tmp_path / "a", kind, [0, 10, 0, 0])
    assert len(list(read_clip(path, Fraction(10)))) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_one_picture_is_no_animation(tmp_path: Path, kind: str) -> None:
    path = write_animation(tmp_path / "a", kind, [500])
    assert picture_kind(path) == "still"
    assert len(list(read_clip(path))) == 1


def test_the_picture_for_programs_without_animation_is_left_out(tmp_path: Path) -> None:
    path = write_animation(tmp_path / "a.png", "PNG", [40, 40, 40], default_image=True)
    assert numbers(read_clip(path), step=30) == [1, 2]


def test_a_part_that_changes_is_laid_over_what_was_there(tmp_path: Path) -> None:
    first = np.full((48, 64, 3), 90, np.uint8)
    second = first.copy()
    second[10:20, 10:20] = (250, 0, 0)
    pictures = [Pillow.fromarray(one) for one in (first, second)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=40)
    before, after = read_clip(tmp_path / "a.gif")
    assert (before == first).all() and (after == second).all()


def test_transparency_is_laid_over_the_background(tmp_path: Path) -> None:
    pictures = [Pillow.new("RGBA", (64, 48), (200, 0, 0, alpha)) for alpha in (0, 128)]
    pictures[0].save(tmp_path / "a.png", save_all=True, append_images=pictures[1:], duration=40)
    first, second = read_clip(tmp_path / "a.png", background=(0, 200, 0))
    assert tuple(first[9, 9]) == (0, 200, 0)
    assert np.abs(second[9, 9].astype(int) - (100, 100, 0)).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_half_an_animation_is_refused_or_shown(tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(2)
    noise = [Pillow.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8)) for _ in range(6)]
    path = tmp_path / "a"
    noise[0].save(path, kind, save_all=True, append_images=noise[1:], duration=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    try:
        assert 1 <= len(list(read_clip(path))) <= 6
    except PictureError as error:
        assert str(path) in str(error) and "\n" not in str(error)


def test_long_and_large_animations_are_refused(tmp_path: Path) -> None:
    path = write_animation(tmp_path / "a.gif", "GIF", [900, 900, 900])
    with pytest.raises(PictureError, match="too long: more than 1 s"):
        list(read_clip(path, max_seconds=1))
    with pytest.raises(PictureError, match="too large: 64x48"):
        list(read_clip(path, max_pixels=3_000))
