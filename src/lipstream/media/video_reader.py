"""The pictures of a video file, at the frame rate of the stream."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from av.buffer import Buffer
from av.stream import Disposition
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from lipstream.errors import PictureError
from lipstream.media.demux import decoded_video, open_media
from lipstream.timeline import FPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from lipstream.media.image import Image

UNSPECIFIED = 2  # ITU-T H.273: the file does not say which matrix made its YUV
SQUEEZED = Fraction(2, 100)  # change of width over height within a clip that would be seen
FULL_CHROMA, ACCURATE = 0x2000, 0x40000  # swscale: interpolate colour, round exactly


def read_clip(
    path: str | Path,
    fps: Fraction = FPS,
    max_side: int = 1280,
    max_seconds: float = 60,
    max_pixels: int = 100_000_000,
) -> Iterator[Image]:
    """The pictures of a video as (height, width, 3) uint8 RGB, upright, `fps` of them per second.

    Frame i is the source picture whose time is nearest to i / fps, the earlier one of two as near,
    counted from the first picture: any source rate, variable ones too, keeps its speed. All frames
    have one size, shrunk so that no side is longer than `max_side`. Raises PictureError, also on
    the way, when the file is no video, is damaged, changes its shape, or is longer or larger than
    allowed.
    """
    path = Path(path)
    with open_media(path, PictureError) as container:
        stream = _video_track(path, container)
        _check_size(path, stream.width, stream.height, max_pixels)
        if stream.duration and stream.time_base:
            _check_length(path, stream.duration * stream.time_base, max_seconds)
        stream.thread_type = "AUTO"
        converted, shown = None, None
        conversion = _Conversion(path, max_side)
        for frame in _at_rate(_timed(path, container, stream, max_seconds), fps):
            if frame is not shown:
                _check_size(path, frame.width, frame.height, max_pixels)
                converted, shown = conversion(frame), frame
                yield converted
            elif converted is not None:
                yield converted.copy()


def _video_track(path: Path, container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:  # the cover of a song is no video
            if stream.codec_context is None:
                raise PictureError(f"{path} has an unknown video codec; export it as mp4 (H.264).")
            return stream
    raise PictureError(f"{path} has no video track; choose a video or a picture.")


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PictureError(
            f"{path} is too large: {width}x{height} are more than {max_pixels} pixels; shrink it."
        )


def _check_length(path: Path, seconds: Fraction, max_seconds: float) -> None:
    if seconds > max_seconds:
        raise PictureError(
            f"{path} is too long: more than {max_seconds:g} s; "
            f"cut out {max_seconds:g} s or less in which the face is seen well."
        )


def _timed(
    path: Path, container: InputContainer, stream: VideoStream, max_seconds: float
) -> Iterator[tuple[Fraction, Fraction, VideoFrame]]:
    """(start, end, picture) in seconds from the first picture, in order."""
    rate = stream.average_rate or FPS
    # The last picture is shown as long as the average one: what mp4 says of it is its place in
    # the order of decoding. A rate no camera has is the tick of the container's clock.
    usual = 1 / (rate if 1 <= rate <= 240 else FPS)
    first: Fraction | None = None
    previous, end = Fraction(-1), Fraction(0)
    for frame in decoded_video(path, container, stream, PictureError):
        start = end
        if frame.pts is not None and frame.time_base is not None:
            time = frame.pts * frame.time_base
            first = time if first is None else first
            start = time - first
        if start <= previous:
            continue  # two pictures for one moment: the first stands
        previous, end = start, start + usual
        _check_length(path, start, max_seconds)
        yield start, end, frame
    if previous < 0:
        raise PictureError(f"{path} holds no picture that can be decoded; export it again.")


def _at_rate(
    pictures: Iterator[tuple[Fraction, Fraction, VideoFrame]], fps: Fraction
) -> Iterator[VideoFrame]:
    """The picture nearest to each i / fps, up to the end of the last one."""
    index = 0
    held: VideoFrame | None = None
    since = until = Fraction(0)
    for start, end, picture in pictures:
        while held is not None and 2 * index <= (since + start) * fps:
            yield held
            index += 1
        held, since, until = picture, start, end
    while held is not None and (index == 0 or 2 * index + 1 <= 2 * until * fps):
        yield held
        index += 1


class _Conversion:
    """Decoded pictures to upright RGB of the first one's size; PictureError for another shape."""

    def __init__(self, path: Path, max_side: int) -> None:
        self._path, self._max_side = path, max_side
        self._shape: Fraction | None = None
        self._size: tuple[int, int] | None = None
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> Image:
        width, height = _shown(frame)
        self._shape = self._shape or width / height
        if abs(width / height / self._shape - 1) > SQUEEZED:
            raise PictureError(
                f"{self._path} changes the shape of its picture on the way; "
                "cut out a part of one shape or export it again."
            )
        self._size = self._size or fitted(frame, self._max_side)
        shrinks = self._size != (frame.width, frame.height)
        kernel = Interpolation.AREA if shrinks else Interpolation.BICUBIC
        source = None
        if frame.colorspace == UNSPECIFIED:  # what players assume
            source = Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601
        rgb = self._reformatter.reformat(
            frame,
            *self._size,
            format="rgb24",
            src_colorspace=source,
            # RGB has none, but up to PyAV 16 the source is heeded only where the two differ.
            dst_colorspace=Colorspace.DEFAULT,
            interpolation=int(kernel) | FULL_CHROMA | ACCURATE,
        )
        return upright(np.asarray(rgb.to_ndarray(), np.uint8), frame)


def fitted(frame: VideoFrame, max_side: int) -> tuple[int, int]:
    """(width, height) of a stored picture shown with square pixels, no side over `max_side`."""
    width, height = _shown(frame)
    scale = min(Fraction(1), max_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _shown(frame: VideoFrame) -> tuple[Fraction, Fraction]:
    """(width, height) of a stored picture in square pixels."""
    # PyAV keeps the pixel's shape with the codec; 4:1 and beyond is a wrong entry, not a film.
    shape = getattr(frame, "sample_aspect_ratio", None) or Fraction(1)
    if not Fraction(1, 4) <= shape <= 4:
        shape = Fraction(1)
    return frame.width * shape, Fraction(frame.height)


def upright(image: Image, frame: VideoFrame) -> Image:
    """The picture as a player shows it: phones store a turned picture and a matrix to turn it."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, Buffer):
        return image
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    if abs(b) > abs(a):  # x and y change places
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
