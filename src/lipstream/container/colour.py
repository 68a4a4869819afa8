"""RGB to the planes that H.264 is made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.video import Image

# ITU-R BT.709, limited range: luma 16..235, chroma 16..240 around 128.
_LUMA = np.array([0.2126, 0.7152, 0.0722]) * 219 / 255
_BLUE = np.array([-0.2126, -0.7152, 1 - 0.0722]) / 1.8556 * 224 / 255
_RED = np.array([1 - 0.2126, -0.7152, -0.0722]) / 1.5748 * 224 / 255
_TO_YUV = np.hstack([np.stack([_LUMA, _BLUE, _RED]), [[16], [128], [128]]]).astype(np.float32)


def to_i420(picture: Image) -> NDArray[np.uint8]:
    """(height, width, 3) RGB with even sides -> (height * 3 / 2, width): Y, then U and V.

    Chroma is the mean of four pixels. A quarter of the time that FFmpeg's scaler takes for it.
    """
    height, width = picture.shape[:2]
    luma, *chroma = cv2.split(cv2.transform(picture, _TO_YUV))
    planes = np.empty((height * 3 // 2, width), np.uint8)
    planes[:height] = luma
    halves = planes[height:].reshape(2, height // 2, width // 2)
    for half, plane in zip(halves, chroma, strict=True):
        half[:] = cv2.resize(plane, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return planes
