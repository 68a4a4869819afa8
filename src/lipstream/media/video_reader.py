"""The pictures of a video file, at a constant frame rate."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.buffer import Buffer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from lipstream.errors import PictureError
from lipstream.media.demux import MediaFile, open_media
from lipstream.media.image import Image
from lipstream.timeline import FPS

UNSPECIFIED = 2  # ITU-T H.273: the matrix of the YUV is not named in the file
MAX_SQUEEZE = Fraction(2, 100)  # change of width over height within a clip; more is seen
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
    with open_media(Path(path), PictureError) as media:
        stream = _video_track(media)
        _check_size(media, stream.width, stream.height, max_pixels)
        if stream.duration and stream.time_base:
            _check_length(media, stream.duration * stream.time_base, max_seconds)
        stream.thread_type = "AUTO"
        converted, shown = None, None
        convert = _FrameConverter(media, max_side)
        for frame in _at_rate(_timed(media, stream, max_seconds), fps):
            if frame is not shown:
                _check_size(media, frame.width, frame.height, max_pixels)
                converted, shown = convert(frame), frame
                yield converted
            elif converted is not None:
                yield converted.copy()


def _video_track(media: MediaFile) -> VideoStream:
    for stream in media.container.streams.video:
        if not stream.disposition & Disposition.attached_pic:  # the cover of a song is no video
            if stream.codec_context is None:
                raise media.refusal("has an unknown video codec; export it as mp4 (H.264)")
            return stream
    raise media.refusal("has no video track; choose a video or a picture")


def _check_size(media: MediaFile, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise media.refusal(
            f"is too large: {width}x{height} are more than {max_pixels} pixels; shrink it"
        )


def _check_length(media: MediaFile, seconds: Fraction, max_seconds: float) -> None:
    if seconds > max_seconds:
        raise media.refusal(
            f"is too long: more than {max_seconds:g} s; "
            f"cut out {max_seconds:g} s or less in which the face is seen well"
        )


def _timed(
    media: MediaFile, stream: VideoStream, max_seconds: float
) -> Iterator[tuple[Fraction, Fraction, VideoFrame]]:
    """(start, end, picture) in seconds from the first picture, in order."""
    rate = stream.average_rate or FPS
    # The last picture is shown as long as the average one: what mp4 says of it is its place in
    # the order of decoding. A rate no camera has is the tick of the container's clock.
    usual = 1 / (rate if 1 <= rate <= 240 else FPS)
    first: Fraction | None = None
    previous, end = Fraction(-1), Fraction(0)
    for frame in media.decode(stream):
        start = end
        if frame.pts is not None and frame.time_base is not None:
            time = frame.pts * frame.time_base
            first = time if first is None else first
            start = time - first
        if start <= previous:
            continue  # two pictures for one moment: the first stands
        previous, end = start, start + usual
        _check_length(media, start, max_seconds)
        yield start, end, frame
    if previous < 0:
        raise media.refusal("holds no picture that can be decoded; export it again")


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


class _FrameConverter:
    """Decoded pictures to upright RGB of the first one's size; PictureError for another shape."""

    def __init__(self, media: MediaFile, max_side: int) -> None:
        self._media, self._max_side = media, max_side
        self._shape: Fraction | None = None
        self._size: tuple[int, int] | None = None
        self._image_shape: tuple[int, ...] = ()
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> Image:
        # PyAV keeps the pixel's shape with the codec; 4:1 and beyond is a wrong entry, not a film.
        pixel = getattr(frame, "sample_aspect_ratio", None) or Fraction(1)
        wide = pixel if Fraction(1, 4) <= pixel <= 4 else Fraction(1)
        width, height = frame.width * wide, Fraction(frame.height)  # in square pixels
        self._shape = self._shape or width / height
        scale = min(Fraction(1), self._max_side / max(width, height))
        self._size = self._size or (max(1, round(width * scale)), max(1, round(height * scale)))
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
        image = _upright(np.asarray(rgb.to_ndarray(), np.uint8), frame)
        self._image_shape = self._image_shape or image.shape  # another one if it is turned
        squeezed = abs(width / height / self._shape - 1) > MAX_SQUEEZE
        if squeezed or image.shape != self._image_shape:
            raise self._media.refusal(
                "changes the shape of its picture on the way; "
                "cut out a part of one shape or export it again"
            )
        return image


def _upright(image: Image, frame: VideoFrame) -> Image:
    """The picture as a player shows it: phones store a turned picture and a matrix to turn it."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, Buffer):
        return image
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    if abs(b) > abs(a):  # x and y change places
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
