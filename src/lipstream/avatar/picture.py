"""Read one picture: any usual format to RGB uint8, upright and of a sensible size."""

from __future__ import annotations

import contextlib
import struct
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from lipstream.config import AvatarConfig
from lipstream.errors import PictureError
from lipstream.media.image import Image
from lipstream.media.input_path import opened

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")  # Pillow's names
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")  # what is called so should be a picture
NAMES = "png, jpg, webp or bmp"
DAMAGE = (OSError, ValueError, SyntaxError, EOFError)  # by any of these Pillow reports it
METADATA_DAMAGE = (KeyError, TypeError, ValueError, SyntaxError, struct.error)
MIN_SIDE = 32  # pixels; no face fits into less

_warning_filters = threading.Lock()  # they belong to the process


def is_picture(path: Path) -> bool:
    """Tell by the content, not the name, whether this is a picture."""
    try:
        with _without_warnings(), Pillow.open(path, formats=FORMATS):
            return True
    except Pillow.DecompressionBombError:
        return True
    except DAMAGE:
        return False


def read_picture(path: Path, config: AvatarConfig) -> Image:
    """(height, width, 3) uint8 RGB, no side longer than `config.max_side`.

    Turned upright by its EXIF tag, transparency laid over `config.background`, the first frame of
    an animation. `PictureError` when it cannot be read, is cut short or has more than
    `config.max_pixels` pixels, which its header names before anything is decoded.
    """
    try:
        with opened(path, PictureError) as file, _without_warnings():
            with Pillow.open(file, formats=FORMATS) as picture:
                _check_size(path, picture.size, config)
                flat = _flatten(_upright(picture), config.background)
    except UnidentifiedImageError as error:
        raise PictureError(
            f"{path} is not a picture that can be read; give a {NAMES} file."
        ) from error
    except Pillow.DecompressionBombError as error:
        raise _too_large(path, config) from error
    except DAMAGE as error:
        raise PictureError(
            f"{path} is damaged or cut short ({error}); save the picture again."
        ) from error
    longer = max(flat.size)
    if longer > config.max_side:
        size = [max(1, round(side * config.max_side / longer)) for side in flat.size]
        flat = flat.resize((size[0], size[1]), Pillow.Resampling.LANCZOS)
    return np.array(flat, np.uint8)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Suppress Pillow's warnings of large pictures and odd metadata: our own limits decide."""
    with _warning_filters, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
        yield


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
        f"{path} has {found}, more than the {config.max_pixels:,} allowed; shrink it first."
    )


def _flatten(picture: Pillow.Image, background: tuple[int, int, int]) -> Pillow.Image:
    """RGB; 16-bit grey is scaled to 8 bits, transparency composited."""
    if picture.mode.startswith("I"):
        # Pillow itself would cut off what is above 255.
        grey = np.clip(np.asarray(picture, np.float64) * (255 / 65535) + 0.5, 0, 255)
        return Pillow.fromarray(grey.astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        ground = Pillow.new("RGBA", layer.size, (*background, 255))
        return Pillow.alpha_composite(ground, layer).convert("RGB")
    return picture.convert("RGB")


def _upright(picture: Pillow.Image) -> Pillow.Image:
    """Turn the picture as its EXIF tag demands; a damaged tag is ignored."""
    try:
        return ImageOps.exif_transpose(picture)
    except METADATA_DAMAGE:
        return picture
