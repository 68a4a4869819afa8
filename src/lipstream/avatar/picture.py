"""Read one picture: any usual format to RGB uint8, upright and of a sensible size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from lipstream.config import AvatarConfig
from lipstream.errors import PictureError
from lipstream.media.image import Image
from lipstream.media.pictures.jpeg_scans import check_scans
from lipstream.media.pictures.picture_file import open_picture, to_rgb

JPEG = ("JPEG", "MPO")  # Pillow's names; the second is a JPEG with more behind it
MIN_SIDE = 32  # pixels; no face fits into less


def read_picture(path: Path, config: AvatarConfig) -> Image:
    """(height, width, 3) uint8 RGB, no side longer than `config.max_side`.

    Upright and in sRGB whatever its orientation tag and colour profile say, transparency laid over
    `config.background`, the first frame of an animation. `PictureError` when it cannot be read,
    is cut short or has more than `config.max_pixels` pixels, which its header names before
    anything is decoded.
    """
    try:
        with open_picture(path) as picture:
            _check_size(path, picture.size, config)
            if picture.format in JPEG:
                check_scans(path)
            return np.array(to_rgb(picture, config.background, config.max_side), np.uint8)
    except PictureError as error:
        if isinstance(error.__cause__, Pillow.DecompressionBombError):
            raise _too_large(path, config) from error
        raise


def _check_size(path: Path, size: tuple[int, int], config: AvatarConfig) -> None:
    if size[0] * size[1] > config.max_pixels:
        raise _too_large(path, config, size)
    if min(size) < MIN_SIDE:
        raise PictureError(
            f"{path} is only {size[0]}x{size[1]} pixels; give a picture whose face can be seen."
        )


def _too_large(
    path: Path, config: AvatarConfig, size: tuple[int, int] | None = None
) -> PictureError:
    found = f"{size[0]}x{size[1]} = {size[0] * size[1]:,} pixels" if size else "too many pixels"
    return PictureError(
        f"{path} has {found}, more than the {config.max_pixels:,} allowed; shrink it first, "
        "or raise --max-pixels."
    )
