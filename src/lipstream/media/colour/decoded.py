"""Decoded frames of any pixel format, matrix, range and primaries as RGB of BT.709."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from lipstream.media.colour import hdr
from lipstream.media.image import Image

BT709, BT601 = 1, 5  # swscale's numbers, which old versions of PyAV do not all name
# ITU-T H.273, matrix coefficients -> swscale's number.
MATRICES = {1: BT709, 4: 4, 5: BT601, 6: BT601, 7: 7, 9: 9, 10: 9}
HD_HEIGHT = 720  # pixels; a film without a matrix that is as high or higher counts as BT.709
UNSPECIFIED = 2  # of all codes of H.273
FULL_RANGE = 2  # in libavutil
FULL_CHROMA, ACCURATE = 0x2000, 0x40000  # swscale: interpolate colour, round exactly


def is_transparent(frame: VideoFrame) -> bool:
    """True when the frame's pixels have an opacity."""
    return any(component.is_alpha for component in frame.format.components)


def to_bt709(
    reformatter: VideoReformatter,
    frame: VideoFrame,
    size: tuple[int, int],
    codes: tuple[int, int] = (UNSPECIFIED, UNSPECIFIED),
    alpha: str = "",
    untagged: int | None = None,
) -> Image:
    """(height, width, 3 or 4) uint8: the colours of BT.709 and, for "a", the opacity.

    `size` is (width, height), `codes` the `transfer_and_primaries`; without them the primaries
    stay. `untagged` is the matrix of a frame that names none; None goes by its height. The
    reformatter keeps its tables from frame to frame.
    """
    shrinks = size != (frame.width, frame.height)
    kernel = Interpolation.AREA if shrinks else Interpolation.BICUBIC
    source = MATRICES.get(frame.colorspace)
    if source is None and frame.colorspace == UNSPECIFIED:  # what players assume
        source = untagged or (BT709 if frame.height >= HD_HEIGHT else BT601)
    wide = hdr.is_wide(*codes)
    depth = ("64le" if alpha else "48le") if wide else ("" if alpha else "24")
    rgb = reformatter.reformat(
        frame,
        *size,
        format=f"rgb{alpha}{depth}",
        src_colorspace=source,
        src_color_range=FULL_RANGE if frame.color_range == FULL_RANGE else None,
        # RGB has none, but up to PyAV 16 the source is heeded only where the two differ.
        dst_colorspace=Colorspace.DEFAULT,
        interpolation=int(kernel) | FULL_CHROMA | ACCURATE,
    )
    pixels: NDArray[Any] = np.asarray(rgb.to_ndarray())
    if not wide:
        return pixels
    shown = hdr.to_bt709(pixels[..., :3], *codes)
    return np.dstack([shown, (pixels[..., 3] >> 8).astype(np.uint8)]) if alpha else shown


def transfer_and_primaries(frame: VideoFrame, context: VideoCodecContext) -> tuple[int, int]:
    """The codes of H.273 of a frame's colours."""
    # Old versions of PyAV only know those of the whole film.
    transfer = getattr(frame, "color_trc", context.color_trc)
    return transfer, getattr(frame, "color_primaries", context.color_primaries)
