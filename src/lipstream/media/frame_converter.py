"""Decoded frames of any pixel format, colour and turn as upright RGB pictures of one size."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from lipstream.media.colour import hdr
from lipstream.media.demux import MediaFile
from lipstream.media.image import Image
from lipstream.media.picture_file import check_size

# ITU-T H.273, matrix coefficients, and the name swscale has for each.
MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
HD_HEIGHT = 720  # pixels; a film without a matrix that is as high or higher counts as BT.709
UNSPECIFIED = 2  # of all codes of H.273
MAX_SQUEEZE = Fraction(2, 100)  # change of width over height within a clip; more is seen
FULL_CHROMA, ACCURATE = 0x2000, 0x40000  # swscale: interpolate colour, round exactly


class FrameConverter:
    """Decoded frames to upright RGB of the first one's size; PictureError for another shape.

    Colours become those of BT.709, transparency is laid over `background`.
    """

    def __init__(
        self,
        media: MediaFile,
        max_side: int,
        max_pixels: int,
        background: tuple[int, int, int],
    ) -> None:
        self._media, self._background = media, background
        self._max_side, self._max_pixels = max_side, max_pixels
        self._shape: Fraction | None = None
        self._size: tuple[int, int] | None = None
        self._image_shape: tuple[int, ...] = ()
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> Image:
        check_size(self._media.path, frame.width, frame.height, self._max_pixels)
        # PyAV keeps the pixel's shape with the codec; 4:1 and beyond is a wrong entry, not a film.
        pixel = getattr(frame, "sample_aspect_ratio", None) or Fraction(1)
        wide = pixel if Fraction(1, 4) <= pixel <= 4 else Fraction(1)
        width, height = frame.width * wide, Fraction(frame.height)  # in square pixels
        self._shape = self._shape or width / height
        scale = min(Fraction(1), self._max_side / max(width, height))
        self._size = self._size or (max(1, round(width * scale)), max(1, round(height * scale)))
        image = _upright(self._rgb(frame, self._size), frame)
        self._image_shape = self._image_shape or image.shape  # another one if it is turned
        squeezed = abs(width / height / self._shape - 1) > MAX_SQUEEZE
        if squeezed or image.shape != self._image_shape:
            raise self._media.refusal(
                "changes the shape of its picture on the way; "
                "cut out a part of one shape or export it again"
            )
        return image

    def _rgb(self, frame: VideoFrame, size: tuple[int, int]) -> Image:
        transparent = any(component.is_alpha for component in frame.format.components)
        if not transparent:
            return self._reformatted(frame, size)
        # Scaled only when it is opaque: the colours of what cannot be seen may be anything.
        image = self._reformatted(frame, (frame.width, frame.height), "a")
        opaque = _flattened(image[..., :3], image[..., 3:], self._background)
        if size == (frame.width, frame.height):
            return opaque
        return np.asarray(cv2.resize(opaque, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _reformatted(self, frame: VideoFrame, size: tuple[int, int], alpha: str = "") -> Image:
        """(height, width, 3 or 4): the colours of BT.709 and, for "a", the opacity."""
        shrinks = size != (frame.width, frame.height)
        kernel = Interpolation.AREA if shrinks else Interpolation.BICUBIC
        source = MATRICES.get(frame.colorspace)
        if source is None and frame.colorspace == UNSPECIFIED:  # what players assume
            source = Colorspace.ITU709 if frame.height >= HD_HEIGHT else Colorspace.ITU601
        transfer, primaries = _transfer_and_primaries(frame)
        wide = hdr.is_wide(transfer, primaries)
        depth = ("64le" if alpha else "48le") if wide else ("" if alpha else "24")
        rgb = self._reformatter.reformat(
            frame,
            *size,
            format=f"rgb{alpha}{depth}",
            src_colorspace=source,
            # RGB has none, but up to PyAV 16 the source is heeded only where the two differ.
            dst_colorspace=Colorspace.DEFAULT,
            interpolation=int(kernel) | FULL_CHROMA | ACCURATE,
        )
        pixels: NDArray[Any] = np.asarray(rgb.to_ndarray())
        if not wide:
            return pixels
        shown = hdr.to_bt709(pixels[..., :3], transfer, primaries)
        return np.dstack([shown, (pixels[..., 3] >> 8).astype(np.uint8)]) if alpha else shown


def _transfer_and_primaries(frame: VideoFrame) -> tuple[int, int]:
    """Codes of H.273; a film in HDR that does not name its primaries has those of BT.2020."""
    transfer = getattr(frame, "color_trc", UNSPECIFIED)
    primaries = getattr(frame, "color_primaries", UNSPECIFIED)
    if transfer in (hdr.PQ, hdr.HLG) and primaries == UNSPECIFIED:
        primaries = hdr.BT2020
    return transfer, primaries


def _flattened(colours: Image, opacity: Image, background: tuple[int, int, int]) -> Image:
    """(height, width, 3) over a background, as (height, width, 1) says."""
    if opacity.min() == 255:
        return np.ascontiguousarray(colours)
    ground = np.array(background, np.float32)
    mixed = ground + (colours - ground) * (opacity.astype(np.float32) / 255)
    return np.rint(mixed).astype(np.uint8)


def _upright(image: Image, frame: VideoFrame) -> Image:
    """The picture as a player shows it: phones store a turned picture and a matrix to turn it."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV cannot list data of a kind that is newer than itself
        return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))
    if not isinstance(data, Buffer):
        return image
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    if abs(b) > abs(a):  # x and y change places
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
