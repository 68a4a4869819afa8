"""A picture's colour profile is obeyed, and what has none or a broken one stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from lipstream.media.colour.icc import to_srgb
from tests.icc_profiles import ADOBE_RGB, DISPLAY_P3, PROPHOTO, grey_profile, rgb_profile

COLOURS = np.array(
    [[[202, 91, 56], [180, 140, 120], [60, 90, 50], [128, 128, 128], [255, 255, 255], [0, 0, 0]]],
    np.uint8,
)


def in_space(space: tuple[float, ...]) -> Pillow.Image:
    """`COLOURS` as a picture of a wider space holds them."""
    srgb = ImageCms.createProfile("sRGB")
    target = ImageCms.ImageCmsProfile(rgb_profile(space))
    stored = ImageCms.profileToProfile(Pillow.fromarray(COLOURS), srgb, target)
    assert stored is not None
    return stored


@pytest.mark.parametrize(
    "space", [ADOBE_RGB, DISPLAY_P3, PROPHOTO], ids=["adobe", "p3", "prophoto"]
)
def test_wide_colours_become_srgb(space: tuple[float, ...]) -> None:
    stored = in_space(space)
    assert np.abs(np.asarray(stored, int) - COLOURS).max() > 10
    profile = rgb_profile(space).getvalue()
    shown = to_srgb(stored, profile)
    assert np.abs(np.asarray(shown, int) - COLOURS).max() <= 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format_hands_over_its_profile(tmp_path: Path, kind: str) -> None:
    stored = in_space(ADOBE_RGB).resize((96, 64), Pillow.Resampling.NEAREST)
    stored.save(tmp_path / "a", kind, icc_profile=rgb_profile(ADOBE_RGB).getvalue(), quality=100)
    image = read_picture(tmp_path / "a", AvatarConfig())
    assert np.abs(image[32, 8].astype(int) - (202, 91, 56)).max() <= 10


def test_transparent_pictures_have_profiles_too(tmp_path: Path) -> None:
    stored = in_space(ADOBE_RGB).resize((96, 64), Pillow.Resampling.NEAREST)
    stored.putalpha(Pillow.linear_gradient("L").resize((96, 64)).point(lambda v: 255 * (v > 127)))
    stored.save(tmp_path / "a.png", icc_profile=rgb_profile(ADOBE_RGB).getvalue())
    image = read_picture(tmp_path / "a.png", AvatarConfig(background=(0, 200, 0)))
    assert tuple(image[4, 8]) == (0, 200, 0)
    assert np.abs(image[60, 8].astype(int) - (202, 91, 56)).max() <= 3


def test_grey_has_profiles_too_and_stays_grey(tmp_path: Path) -> None:
    ramp = Pillow.fromarray(np.linspace(0, 255, 96, dtype=np.uint8)[None].repeat(64, axis=0))
    ramp.save(tmp_path / "g.png", icc_profile=grey_profile(1.0).getvalue())
    image = read_picture(tmp_path / "g.png", AvatarConfig())
    assert (image == image[..., :1]).all()
    assert abs(int(image[0, 48, 0]) - 188) <= 3  # half of the light of white


def test_a_profile_of_srgb_changes_no_pixel() -> None:
    random = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (np.asarray(to_srgb(Pillow.fromarray(random), profile)) == random).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize(
    "profile", [b"", b"nonsense" * 40, rgb_profile(ADOBE_RGB).getvalue()[:300]]
)
def test_a_damaged_profile_is_none(mode: str, profile: bytes) -> None:
    picture = Pillow.fromarray(COLOURS).convert(mode)
    expected = picture if mode == "L" else picture.convert("RGB")
    assert to_srgb(picture, profile).tobytes() == expected.tobytes()


def test_lab_is_a_profile_of_its_own() -> None:
    picture = Pillow.fromarray(COLOURS)
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    stored = ImageCms.profileToProfile(picture, srgb, lab, outputMode="LAB")
    assert stored is not None
    assert np.abs(np.asarray(to_srgb(stored, None), int) - COLOURS).max() <= 3


def test_a_profile_of_another_kind_is_none() -> None:
    grey = Pillow.fromarray(COLOURS).convert("L")
    assert to_srgb(grey, rgb_profile(ADOBE_RGB).getvalue()).tobytes() == grey.tobytes()
