"""HEIF for Pillow: the index is our own, the coded pictures are FFmpeg's.

There are libraries for it, but their wheels hold x265 under the GPL, and the one that does not ends
the process on some damaged files.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import Image as Pillow
from PIL import ImageFile

from lipstream.media.colour.decoded import (
    BT601,
    FULL_RANGE,
    UNSPECIFIED,
    to_bt709,
    transfer_and_primaries,
)
from lipstream.media.demux import SeekableFile
from lipstream.media.i420 import LIMITED
from lipstream.media.image import Image
from lipstream.media.pictures.heif.index import read_index
from lipstream.media.pictures.heif.layout import Layout, alpha_layout, primary_layout

FORMAT = "HEIC"
MAX_EXCESS = 16  # times the pixels a part should have; small ones are filled up to 64x64
BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")


def register() -> None:
    """Let Pillow open such files when it is asked for `FORMAT`."""
    Pillow.register_open(FORMAT, HeifFile, _accepts)


def _accepts(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in BRANDS


class HeifFile(ImageFile.ImageFile):
    """The picture that such a file is to show. EXIF has no say in how it is turned."""

    format = FORMAT
    format_description = "HEIF still picture"

    def _open(self) -> None:
        assert self.fp is not None
        index = read_index(self.fp)
        self._layout = primary_layout(index, self.fp)
        self._alpha = alpha_layout(index, self.fp)
        self._mode = "RGB" if self._alpha is None else "RGBA"
        try:
            self._size = _shown_size(self._layout)
        except ZeroDivisionError as error:
            raise SyntaxError("a fraction has no denominator") from error
        if self._layout.profile:
            self.info["icc_profile"] = self._layout.profile
        self._loaded = False

    def load(self) -> Any:
        """Decode it; OSError when that fails."""
        if not self._loaded:
            assert self.fp is not None
            self._loaded = True
            self.im = Pillow.fromarray(self._decoded()).im
            self.tile = []
        return super().load()

    def _decoded(self) -> Image:
        """(height, width, 3 or 4), turned as the file demands."""
        colours = _assembled(self._layout, self._tiles(self._layout))
        if self._alpha is None:
            return colours
        opacity = _assembled(self._alpha, self._tiles(self._alpha))[..., 1]
        return np.dstack([colours, cv2.resize(opacity, colours.shape[1::-1])])

    def _tiles(self, layout: Layout) -> Iterator[tuple[int, Image]]:
        """The coded items of the picture, as they come in the file."""
        assert self.fp is not None
        self.fp.seek(0)
        reformatter = VideoReformatter()
        options = {"protocol_whitelist": "none"}
        try:
            with av.open(SeekableFile(self.fp), "r", format="mov", options=options) as container:
                streams = {one.id: one for one in reversed(container.streams.video)}
                wanted = {item: streams[item] for item in layout.items if item in streams}
                for packet in container.demux(list(wanted.values())):
                    for frame in packet.decode():
                        if isinstance(frame, VideoFrame):
                            yield (
                                packet.stream.id,
                                _pixels(reformatter, frame, wanted[packet.stream.id], layout),
                            )
        except av.FFmpegError as failure:
            raise OSError(f"a part cannot be decoded: {failure.strerror}") from failure


def _pixels(
    reformatter: VideoReformatter, frame: VideoFrame, stream: VideoStream, layout: Layout
) -> Image:
    """The frame in the colours that the file names; without any, by the matrix of JPEG."""
    if frame.width * frame.height > MAX_EXCESS * layout.tile[0] * layout.tile[1]:
        raise OSError("a part is larger than it should be")
    codes = transfer_and_primaries(frame, stream.codec_context)
    if layout.codes is not None:  # of more weight than what the frame says itself
        codes = layout.codes.transfer, layout.codes.primaries
        frame.colorspace = layout.codes.matrix
        frame.color_range = FULL_RANGE if layout.codes.full_range else LIMITED
    if layout.profile is not None:  # it says what the primaries are, and Pillow's way obeys it
        codes = (UNSPECIFIED, UNSPECIFIED)
    return to_bt709(reformatter, frame, (frame.width, frame.height), codes, untagged=BT601)


def _assembled(layout: Layout, tiles: Iterator[tuple[int, Image]]) -> Image:
    """(height, width, 3): every tile in its place, the whole turned."""
    width, height = layout.tile
    canvas = np.zeros((*layout.size[::-1], 3), np.uint8)  # the last tiles may reach beyond
    missing = set(range(len(layout.items)))
    for item, tile in tiles:
        for number in [one for one in missing if layout.items[one] == item]:
            row, column = divmod(number, layout.columns)
            place = canvas[row * height :, column * width :][:height, :width]
            part = tile[: place.shape[0], : place.shape[1]]
            place[: part.shape[0], : part.shape[1]] = part
            missing.discard(number)
    if missing:
        raise OSError(f"{len(missing)} of {len(layout.items)} parts are missing")
    for kind, content in layout.changes:
        canvas = _changed(canvas, kind, content)
    return np.ascontiguousarray(canvas)


def _shown_size(layout: Layout) -> tuple[int, int]:
    """(width, height) of the picture once it is turned."""
    image = np.broadcast_to(np.uint8(0), (*layout.size[::-1], 3))  # takes no memory
    for kind, content in layout.changes:
        image = _changed(image, kind, content)
    return image.shape[1], image.shape[0]


def _changed(image: Image, kind: bytes, content: bytes) -> Image:
    """A view of the picture cut (clap), turned (irot) or mirrored (imir), by ISO 23008-12, 6.5."""
    if kind == b"irot":
        return np.rot90(image, content[0] & 3)
    if kind == b"imir":
        return image[:, ::-1] if content[0] & 1 else image[::-1]
    numbers = struct.unpack_from(">4IiIiI", content)
    width, height, right, down = (Fraction(*numbers[i : i + 2]) for i in range(0, 8, 2))
    left = round((image.shape[1] - width) / 2 + right)
    top = round((image.shape[0] - height) / 2 + down)
    cut = image[max(top, 0) : top + round(height), max(left, 0) : left + round(width)]
    if not cut.size:
        raise SyntaxError("nothing is left of the picture")
    return cut
