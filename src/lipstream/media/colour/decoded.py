"""Decoded frames of any pixel format, matrix, range and primaries as RGB of BT.709."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from lipstream.media.colour import hdr
from lipstream.media.image import Image

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
FULL_CHROMA, ACCURATE = 0x2000, 0x40000  # swscale: interpolate colour, round exactly


def is_transparent(frame: VideoFrame) -> bool:
    """True when the frame's pixels have an opacity."""
    return any(component.is_alpha for component in frame.format.components)


def to_bt709(
    reformatter: VideoReformatter,
    frame: VideoFrame,
    size: tuple[int, int],
    alpha: str = "",
    untagged: Colorspace | None = None,
    profiled: bool = False,
) -> Image:
    """(height, width, 3 or 4) uint8: the colours of BT.709 and, for "a", the opacity.

    `size` is (width, height). The reformatter keeps its tables from frame to frame. `untagged` is
    the matrix of a frame that names none; None goes by its height. A `profiled` frame keeps its
    primaries, which a colour profile beside it describes.
    """
    shrinks = size != (frame.width, frame.height)
    kernel = Interpolation.AREA if shrinks else Interpolation.BICUBIC
    source = MATRICES.get(frame.colorspace)
    if source is None and frame.colorspace == UNSPECIFIED:  # what players assume
        source = untagged or (Colorspace.ITU709 if frame.height >= HD_HEIGHT else Colorspace.ITU601)
    transfer, primaries = _transfer_and_primaries(frame)
    wide = hdr.is_wide(transfer, primaries) and not profiled
    depth = ("64le" if alpha else "48le") if wide else ("" if alpha else "24")
    rgb = reformatter.reformat(
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
