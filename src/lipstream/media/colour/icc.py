"""Colour profiles of pictures: Adobe RGB, Display P3, the inks of a press; all to sRGB."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms

CHANNELS = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK", "Lab": "LAB"}  # of a profile, Pillow's mode
MAX_SAME = 2  # of 255; a profile that changes no colour more than this is sRGB by another name
# A profile that is no profile: Pillow's words for it, and those of a Pillow without Little CMS.
UNUSABLE = (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError)


def to_srgb(picture: Pillow.Image, profile: bytes | None) -> Pillow.Image:
    """A picture of mode L, RGB, CMYK or LAB in sRGB: L stays L, all others become RGB.

    A picture without a profile, or with one that is damaged or not of its kind, counts as sRGB.
    """
    if picture.mode == "LAB":
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return _converted(picture, source)
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if CHANNELS.get(source.profile.xcolor_space.strip()) == picture.mode:
                return _unless_same(picture, source)
        except UNUSABLE:
            pass  # what viewers do with such a profile, too
    return picture if picture.mode == "L" else picture.convert("RGB")


def _unless_same(picture: Pillow.Image, source: ImageCms.ImageCmsProfile) -> Pillow.Image:
    """The picture converted; itself, bit for bit, where the profile is as good as sRGB."""
    if picture.mode != "CMYK":
        probe = _probe(picture.mode)
        before, after = (np.asarray(one, int) for one in (probe, _converted(probe, source)))
        if np.abs(before - after).max() <= MAX_SAME:
            return picture
    return _converted(picture, source)


def _probe(mode: str) -> Pillow.Image:
    """Every 32nd colour of the cube."""
    steps = np.arange(0, 256, 32, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(8, -1, 3)
    return Pillow.fromarray(cube).convert(mode)


def _converted(picture: Pillow.Image, source: ImageCms.ImageCmsProfile) -> Pillow.Image:
    """By relative colorimetry with black points matched, as browsers and editors do it."""
    transform = ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        picture.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    converted = transform.apply(picture)
    return converted.convert("L") if picture.mode == "L" else converted
