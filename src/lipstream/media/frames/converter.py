"""Decoded frames of any pixel format, colour and turn as upright RGB pictures of one size."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from lipstream.media.colour.decoded import is_transparent, to_bt709, transfer_and_primaries
from lipstream.media.demux import MediaFile
from lipstream.media.frames.orientation import mirror_matrix, upright
from lipstream.media.image import Image
from lipstream.media.pictures.picture_file import check_size

MAX_SQUEEZE = Fraction(2, 100)  # change of width over height within a clip; more is seen


class FrameConverter:
    """Decoded frames to upright RGB of the first one's size; PictureError for another shape.

    Colours become those of BT.709, transparency is laid over `background`.
    """

    def __init__(
        self,
        media: MediaFile,
        stream: VideoStream,
        max_side: int,
        max_pixels: int,
        background: tuple[int, int, int],
    ) -> None:
        self._media, self._background = media, background
        self._stream, self._matrix = stream, mirror_matrix(media, stream)
        self._max_side, self._max_pixels = max_side, max_pixels
        self._shape: Fraction | None = None
        self._size: tuple[int, int] | None = None
        self._image_shape: tuple[int, ...] = ()
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> Image:
        check_size(self._media.path, frame.width, frame.height, self._max_pixels)
        # In square pixels.
        width, height = frame.width * pixel_shape(self._stream), Fraction(frame.height)
        self._shape = self._shape or width / height
        scale = min(Fraction(1), self._max_side / max(width, height))
        self._size = self._size or (max(1, round(width * scale)), max(1, round(height * scale)))
        image = upright(self._rgb(frame, self._size), frame, self._matrix)
        self._image_shape = self._image_shape or image.shape  # another one if it is turned
        squeezed = abs(width / height / self._shape - 1) > MAX_SQUEEZE
        if squeezed or image.shape != self._image_shape:
            raise self._media.refusal(
                "changes the shape of its picture on the way; "
                "cut out a part of one shape or export it again"
            )
        return image

    def _rgb(self, frame: VideoFrame, size: tuple[int, int]) -> Image:
        codes = transfer_and_primaries(frame, self._stream.codec_context)
        if not is_transparent(frame):
            return to_bt709(self._reformatter, frame, size, codes)
        # Scaled only when it is opaque: the colours of what cannot be seen may be anything.
        image = to_bt709(self._reformatter, frame, (frame.width, frame.height), codes, "a")
        opaque = _flattened(image[..., :3], image[..., 3:], self._background)
        if size == (frame.width, frame.height):
            return opaque
        return np.asarray(cv2.resize(opaque, size, interpolation=cv2.INTER_AREA), np.uint8)


def pixel_shape(stream: VideoStream) -> Fraction:
    """The width over the height of a pixel."""
    shape = stream.sample_aspect_ratio or Fraction(1)
    # 4:1 and beyond is a wrong entry, not a film.
    return shape if Fraction(1, 4) <= shape <= 4 else Fraction(1)


def _flattened(colours: Image, opacity: Image, background: tuple[int, int, int]) -> Image:
    """(height, width, 3) over a background, as (height, width, 1) says."""
    if opacity.min() == 255:
        return np.ascontiguousarray(colours)
    ground = np.array(background, np.float32)
    mixed = ground + (colours - ground) * (opacity.astype(np.float32) / 255)
    return np.rint(mixed).astype(np.uint8)
