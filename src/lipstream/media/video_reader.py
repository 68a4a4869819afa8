"""The pictures of a video file or an animation, at a constant frame rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import TypeVar

import av
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipstream.errors import PictureError
from lipstream.media.demux import MediaFile, open_media
from lipstream.media.frames.converter import FrameConverter
from lipstream.media.frames.deinterlacer import deinterlaced
from lipstream.media.frames.rate import at_rate
from lipstream.media.image import Image
from lipstream.media.pictures.animation_reader import read_animation
from lipstream.media.pictures.picture_file import check_size, picture_kind
from lipstream.timeline import FPS, MAX_FPS, MIN_FPS, exact_rate

T = TypeVar("T")

MAX_PIXELS = 50_000_000  # of one picture, unless the caller allows more
# WebM keeps the transparency of these beside the picture, where only these decoders look.
TRANSPARENT_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
HEIC_BRANDS = ("heic", "heix", "heim", "heis", "mif1")  # ISO 23008-12; still pictures
EXPORT_HEIC = (
    "is a HEIC photo of a kind that cannot be put together; export it as JPEG "
    "(iPhone: Settings > Camera > Formats > Most Compatible)"
)


def read_clip(
    path: str | Path,
    fps: Fraction = FPS,
    max_side: int = 1280,
    max_seconds: float = 60,
    max_pixels: int = MAX_PIXELS,
    background: tuple[int, int, int] = (255, 255, 255),
) -> Iterator[Image]:
    """The pictures of a clip as (height, width, 3) uint8 RGB, upright, `fps` of them per second.

    Frame i is the source picture that is shown at i / fps, give or take half a frame, counted from
    the first picture: any source rate, variable ones too, keeps its speed. A file of one picture
    gives one frame. All frames have one size, shrunk so that no side is longer than
    `max_side`, and colours of BT.709, HDR and wide ones included; interlaced ones are whole,
    transparent ones over `background`. Raises PictureError, also on the way, when the file is no
    clip, is damaged, changes its shape, or is longer or larger than allowed.
    """
    path = Path(path)
    if picture_kind(path) is not None:
        animation = read_animation(path, background, max_side, max_pixels)
        yield from _at_rate(_within(animation, path, max_seconds), fps, lambda image: image)
        return
    with open_media(path, PictureError) as media:
        stream = video_track(media)
        check_size(path, stream.width, stream.height, max_pixels)
        if stream.duration and stream.time_base:
            _check_length(path, stream.duration * stream.time_base, max_seconds)
        convert = FrameConverter(media, stream, max_side, max_pixels, background)
        pictures = _within(_timed(media, stream), path, max_seconds)
        try:
            yield from _at_rate(pictures, fps, convert)
        except av.FFmpegError as failure:
            raise media.damaged() from failure


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """The figures in the header of a clip, or those of its packets where it has none."""

    fps: Fraction  # pictures per second, from `MIN_FPS` to `MAX_FPS`
    seconds: Fraction


def read_facts(path: str | Path, max_pixels: int = MAX_PIXELS) -> ClipFacts:
    """The rate and the length of a clip. Of more pictures than `MAX_FPS` a whole share is kept.

    An animation has the rate `FPS`, as each of its pictures has a time of its own.
    """
    path = Path(path)
    if picture_kind(path) is not None:
        ends = [end for _, end, _ in read_animation(path, (0, 0, 0), 1, max_pixels)]
        return ClipFacts(FPS, max(ends, default=Fraction(0)))
    with open_media(path, PictureError) as media:
        stream = video_track(media)
        rate = exact_rate(stream.guessed_rate or stream.average_rate or FPS)
        share = rate / ceil(rate / MAX_FPS)
        seconds = Fraction(media.container.duration or 0, av.time_base)
        if stream.duration and stream.time_base:
            seconds = stream.duration * stream.time_base
        return ClipFacts(share if share >= MIN_FPS else FPS, seconds or media.reach(stream))


def video_track(media: MediaFile) -> VideoStream:
    """The first track of moving pictures; PictureError when there is none that can be decoded."""
    tracks = [
        stream
        for stream in media.container.streams.video
        if not stream.disposition & Disposition.attached_pic  # the cover of a song is no video
    ]
    if not tracks:
        raise media.refusal("has no video track; choose a video or a picture")
    if tracks[0].codec_context is None:
        raise media.refusal("has an unknown video codec; export it as mp4 (H.264)")
    if not tracks[0].width or not tracks[0].height:  # taken for a picture because of its name
        raise media.unreadable()
    if len(tracks) > 1 and media.container.metadata.get("major_brand") in HEIC_BRANDS:
        raise media.refusal(EXPORT_HEIC)
    return tracks[0]


def _at_rate(
    pictures: Iterator[tuple[Fraction, Fraction, T]], fps: Fraction, convert: Callable[[T], Image]
) -> Iterator[Image]:
    """The pictures that are shown, each converted once and all of them the caller's own."""
    shown: T | None = None
    converted: Image | None = None
    for picture in at_rate(pictures, fps):
        if picture is not shown or converted is None:
            converted, shown = convert(picture), picture
            yield converted
        else:
            yield converted.copy()


def _within(
    pictures: Iterator[tuple[Fraction, Fraction, T]], path: Path, max_seconds: float
) -> Iterator[tuple[Fraction, Fraction, T]]:
    for start, end, picture in pictures:
        _check_length(path, start, max_seconds)
        yield start, end if end <= max_seconds else Fraction(max_seconds), picture


def _check_length(path: Path, seconds: Fraction, max_seconds: float) -> None:
    if seconds > max_seconds:
        raise PictureError(
            f"{path} is too long: more than {max_seconds:g} s; "
            f"cut out {max_seconds:g} s or less in which the face is seen well."
        )


def _timed(
    media: MediaFile, stream: VideoStream
) -> Iterator[tuple[Fraction, Fraction, VideoFrame]]:
    """(start, end, picture) in seconds from the first picture, in order."""
    rate = stream.average_rate or FPS
    # The last picture is shown as long as the average one: what mp4 says of it is its place in
    # the order of decoding. A rate no camera has is the tick of the container's clock.
    usual = 1 / (rate if 1 <= rate <= 240 else FPS)
    first: Fraction | None = None
    previous, end = Fraction(-1), Fraction(0)
    for frame in _frames(media, stream):
        start = end
        if frame.pts is not None and frame.time_base is not None:
            time = frame.pts * frame.time_base
            first = time if first is None else first
            start = time - first
        if start <= previous:
            continue  # two pictures for one moment: the first stands
        previous, end = start, start + usual
        yield start, end, frame
    if previous < 0:
        raise media.refusal("holds no picture that can be decoded; export it again")


def _frames(media: MediaFile, stream: VideoStream) -> Iterator[VideoFrame]:
    """The decoded frames, whole and with their transparency."""
    stream.thread_type = "AUTO"
    yield from deinterlaced(media.decode(stream, _transparent_decoder(stream)))


def _transparent_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """A decoder for the transparency that the stream's own would leave out, if it has some."""
    name = TRANSPARENT_DECODERS.get(stream.name or "")
    marked = any(
        key.lower() == "alpha_mode" and text == "1" for key, text in stream.metadata.items()
    )
    if not marked or name is None or name not in av.codecs_available:
        return None
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder
