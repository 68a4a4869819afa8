"""Pictures derived from a portrait: grey, small, blurred, dark, yellowed, mirrored, tilted.

Two more are opened by the renderer itself: with parted lips, and with the mouth open.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.cpu.faces.drawn import Drawn
from benchmarks.cpu.faces.performance import POSES
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig

if TYPE_CHECKING:
    from lipstream.media.image import Image

SMALL, BLUR, DARK, TILT = 0.5, 2.0, 0.45, 12.0  # of the size, pixels, of the light, degrees
OPENED = {"parted": "soft", "open": "medium"}  # and the poses that these are taken from
YELLOW = (1.0, 0.88, 0.55)  # of old varnish


def write(path: Path, folder: Path) -> list[Path]:
    """Write all variants of a picture as PNG; returns their paths."""
    image = read_picture(path, AvatarConfig())
    written = []
    for name, derive in VARIANTS.items():
        target = folder / f"{path.stem}__{name}.png"
        _save(target, derive(image))
        written.append(target)
    return written


def write_opened(drawn: Drawn, folder: Path) -> list[Path]:
    """Write the portrait with its mouth opened, as the renderer draws it; returns the paths."""
    poses = drawn.part("poses")
    written = []
    for name, pose in OPENED.items():
        target = folder / f"{drawn.name}__{name}.png"
        _save(target, np.ascontiguousarray(poses.frames[list(POSES).index(pose)]))
        written.append(target)
    return written


def grey(path: Path, folder: Path) -> Path:
    """Write the picture without colour as PNG."""
    target = folder / f"{path.stem}__grey.png"
    _save(target, _grey(read_picture(path, AvatarConfig())))
    return target


def _grey(image: Image) -> Image:
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def _small(image: Image) -> Image:
    small = cv2.resize(image, None, fx=SMALL, fy=SMALL, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _blurred(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), BLUR), np.uint8)


def _dark(image: Image) -> Image:
    return np.asarray(image * DARK + 0.5, np.uint8)


def _yellow(image: Image) -> Image:
    return np.asarray(image * np.array(YELLOW) + 0.5, np.uint8)


def _mirrored(image: Image) -> Image:
    return np.ascontiguousarray(image[:, ::-1])


def _tilted(image: Image) -> Image:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), TILT, 1.0)
    turned = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(turned, np.uint8)


VARIANTS: dict[str, Callable[[Image], Image]] = {
    "grey": _grey,
    "small": _small,
    "blurred": _blurred,
    "dark": _dark,
    "yellow": _yellow,
    "mirrored": _mirrored,
    "tilted": _tilted,
}


def _save(path: Path, image: Image) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
