"""Places in a picture where a face may be, from a detector that sees only large faces.

The detector sees a face when it fills a sixth of its window, so the picture is scanned by tiles.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lipstream.avatar.face.crop import RotatedSquare
from lipstream.avatar.face.detector import Detection, FaceDetector
from lipstream.media.image import Image

SCAN_SCORE = 0.3  # detector's threshold
MAX_CANDIDATES = 12  # of one scan
MIN_TILE = 64  # pixels; faces that need smaller ones have a few pixels between the eyes
STRIDE = 1 / 2  # from tile to tile, as a share of the tile
# Faces that fill more than a third of such a tile are found in the next larger ones.
SMALL_TILE, SMALL_TILE_STRIDE = 1 / 8, 2 / 3


def scan(detector: FaceDetector, image: Image, share: float, angle: float = 0.0) -> list[Detection]:
    """The likeliest places, best first, by tiles of `share` of the longer side.

    Faces are expected upright in tiles turned clockwise by `angle` radians, a multiple of a
    quarter turn.
    """
    found: list[Detection] = []
    for window in _tiles(image, share):
        found += detector.detect(image, window.turned(angle), SCAN_SCORE)
    apart: list[Detection] = []
    for detection in sorted(found, key=lambda detection: -detection.score):
        if not any(is_near(detection.square, other.square) for other in apart):
            apart.append(detection)
    return apart[:MAX_CANDIDATES]


def is_near(one: RotatedSquare, other: RotatedSquare) -> bool:
    """Tell whether two squares lie over one another, as two sightings of one face do."""
    return float(np.hypot(one.x - other.x, one.y - other.y)) < max(one.side, other.side) / 2


def _tiles(image: Image, share: float) -> Iterator[RotatedSquare]:
    """Windows of `share` of the longer side that overlap and cover the picture."""
    height, width = image.shape[:2]
    side = max(height, width) * share
    if side < MIN_TILE and share < 1:
        return
    stride = side * (STRIDE if share > SMALL_TILE else SMALL_TILE_STRIDE)
    for y in _centres(height, side, stride):
        for x in _centres(width, side, stride):
            yield RotatedSquare(x, y, side)


def _centres(length: int, side: float, stride: float) -> list[float]:
    if length <= side:
        return [length / 2]
    steps = int(np.ceil((length - side) / stride))
    return [float(at) for at in np.linspace(side / 2, length - side / 2, steps + 1)]
