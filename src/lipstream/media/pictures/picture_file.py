"""Pictures and animations as Pillow reads them: told by content, brought to 8-bit sRGB."""

from __future__ import annotations

import contextlib
import functools
import struct
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError, features

from lipstream.errors import PictureError
from lipstream.media.colour.icc import to_srgb
from lipstream.media.input_path import opened
from lipstream.media.pictures.heif import plugin

NAMES = "png, jpg, webp, heic, avif, tiff, gif or bmp"
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000")  # Pillow's names
ANIMATED = ("PNG", "WEBP", "GIF", "AVIF")  # several pictures of a TIFF or MPO are no film
METADATA_DAMAGE = (LookupError, TypeError, ValueError, SyntaxError, struct.error)
# By any of these Pillow reports it, or stumbles over it.
DAMAGE = (*METADATA_DAMAGE, OSError, EOFError, ArithmeticError, RuntimeError)
PEAKS = (1, 255, 65_535)  # white in a picture of whole or real numbers: the least that holds it

STRIP_ROWS = 64  # converted at once, so that large pictures take little memory

_warning_filters = threading.Lock()  # they belong to the process


def picture_kind(path: Path) -> Literal["still", "animation"] | None:
    """Tell by the content, not the name; None is for video, sound and all that is no picture."""
    try:
        with open_picture(path) as picture:
            animated = picture.format in ANIMATED and getattr(picture, "is_animated", False)
            return "animation" if animated else "still"
    except PictureError as error:
        return "still" if isinstance(error.__cause__, Pillow.DecompressionBombError) else None


@contextlib.contextmanager
def open_picture(path: Path) -> Iterator[Pillow.Image]:
    """The picture whose header was read. PictureError, then and for damage inside the block."""
    with opened(path, PictureError) as file, reading(path):
        with Pillow.open(file, formats=formats()) as picture:
            yield picture


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn Pillow's errors into a PictureError that names `path`; keep its warnings in."""
    try:
        with _without_warnings():
            yield
    except UnidentifiedImageError as error:
        raise PictureError(
            f"{path} is not a picture that can be read; give a {NAMES} file."
        ) from error
    except Pillow.DecompressionBombError as error:
        raise PictureError(f"{path} has too many pixels; shrink it first.") from error
    except DAMAGE as error:
        raise PictureError(
            f"{path} is damaged or cut short ({error}); save the picture again."
        ) from error


def to_rgb(picture: Pillow.Image, background: tuple[int, int, int], max_side: int) -> Pillow.Image:
    """8-bit sRGB, upright, no side longer than `max_side`, transparency over `background`."""
    profile = picture.info.get("icc_profile")
    plain = _shrunk(_eight_bits(_upright(picture)), max_side)
    if plain.mode not in ("LA", "RGBA"):
        return to_srgb(plain, profile).convert("RGB")
    opaque = to_srgb(plain.convert(plain.mode[:-1]), profile).convert("RGB")
    return Pillow.composite(
        opaque, Pillow.new("RGB", plain.size, background), plain.getchannel("A")
    )


def check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    """PictureError for a clip whose pictures have more than `max_pixels`."""
    if width * height > max_pixels:
        raise PictureError(
            f"{path} is too large: {width}x{height} are more than {max_pixels} pixels; shrink it."
        )


@functools.cache
def formats() -> tuple[str, ...]:
    """Pillow's names of the formats that can be read here."""
    plugin.register()
    return (*FORMATS, plugin.FORMAT, *(["AVIF"] if features.check("avif") else []))


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Suppress Pillow's warnings of large pictures and odd metadata: our own limits decide."""
    with _warning_filters, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
        yield


def _upright(picture: Pillow.Image) -> Pillow.Image:
    """Turn and mirror the picture as its EXIF tag demands; a damaged tag is ignored."""
    try:
        if getattr(picture, "is_animated", False):  # whose next frame is drawn over this one
            return ImageOps.exif_transpose(picture)
        ImageOps.exif_transpose(picture, in_place=True)  # a copy may be hundreds of megabytes
    except METADATA_DAMAGE:
        pass
    return picture


def _eight_bits(picture: Pillow.Image) -> Pillow.Image:
    """Mode L, LA, RGB, RGBA, CMYK or LAB."""
    if picture.mode.startswith(("I", "F")):
        # Pillow itself would cut off what is above 255.
        return Pillow.fromarray(_grey(picture))
    if picture.mode in ("L", "RGB", "CMYK", "LAB") and not picture.has_transparency_data:
        return picture
    if picture.has_transparency_data:
        return picture if picture.mode in ("LA", "RGBA") else picture.convert("RGBA")
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _grey(picture: Pillow.Image) -> NDArray[np.uint8]:
    """(height, width) of a picture of whole or real numbers, some rows at a time."""
    numbers = np.asarray(picture)
    strips = [slice(top, top + STRIP_ROWS) for top in range(0, len(numbers), STRIP_ROWS)]

    def real(strip: slice) -> NDArray[np.float64]:
        return np.nan_to_num(numbers[strip].astype(np.float64))

    highest = max((float(real(strip).max(initial=0)) for strip in strips), default=0.0)
    factor = 255 / _white(picture, highest)
    grey = np.empty(numbers.shape, np.uint8)
    for strip in strips:
        grey[strip] = np.clip(real(strip) * factor + 0.5, 0, 255).astype(np.uint8)
    return grey


def _white(picture: Pillow.Image, highest: float) -> float:
    """The number that stands for white in a picture whose highest one is known."""
    if picture.mode.startswith("I;"):
        bits = getattr(picture, "tag_v2", {}).get(258, (16,))  # BitsPerSample of TIFF
        return float((1 << bits[0]) - 1)
    least = 1 if picture.mode == "F" else PEAKS[-1]
    return next((peak for peak in PEAKS if max(highest, least) <= peak), highest)


def _shrunk(picture: Pillow.Image, max_side: int) -> Pillow.Image:
    longer = max(picture.size)
    if longer <= max_side:
        return picture
    width, height = (max(1, round(side * max_side / longer)) for side in picture.size)
    return picture.resize((width, height), Pillow.Resampling.LANCZOS)
