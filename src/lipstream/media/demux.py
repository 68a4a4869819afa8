"""Opening and decoding a media file: what sound and pictures have in common."""

from __future__ import annotations

import contextlib
import struct
from fractions import Fraction
from typing import IO, TYPE_CHECKING

import av

from lipstream.media.input_path import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from lipstream.errors import InputError

MOV = "mov,mp4,m4a,3gp,3g2,mj2"  # FFmpeg's name of the mp4 family
MATROSKA = "matroska,webm"
STREAMED_WAV = 0x7FFF_F000  # data sizes from here on are placeholders of programs that stream


@contextlib.contextmanager
def open_media(path: Path, error: type[InputError]) -> Iterator[InputContainer]:
    """Open a local file for decoding; raises `error` with one sentence when that cannot be done.

    The file is opened here and handed over as bytes, and no protocol is allowed besides: a
    playlist can make FFmpeg neither fetch an address nor read another file.
    """
    options = {"protocol_whitelist": "none"}
    with opened(path, error) as handle:
        needed = _wav_length(handle)
        try:
            container = av.open(handle, "r", options=options, metadata_errors="replace")
        except (av.FFmpegError, OSError) as failure:
            raise error(
                f"{path} cannot be read as audio or video, or it is cut short; "
                "check it or export it again."
            ) from failure
        with container:
            found = path.stat().st_size
            needed = max(needed, _indexed_length(container))
            if needed > found:
                raise error(
                    f"{path} is cut short: {needed} bytes are announced and {found} are there; "
                    "copy or export it again."
                )
            yield container


def _wav_length(handle: IO[bytes]) -> int:
    """Bytes a WAV file must have at least by its own headers; 0 for other files and for streams.

    FFmpeg itself takes a shorter file for what it is and stays silent.
    """
    needed = 0
    if handle.read(4) == b"RIFF" and handle.read(8)[4:] == b"WAVE":
        while len(head := handle.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name == b"data":
                needed = handle.tell() + length if length < STREAMED_WAV else 0
                break
            handle.seek(length + length % 2, 1)
    handle.seek(0)
    return needed


def _indexed_length(container: InputContainer) -> int:
    """Bytes an mp4 file must have at least to hold every sample of its index."""
    if container.format.name != MOV:
        return 0
    # Older PyAV has no index; the decoded length then shows what is missing.
    indices = [getattr(stream, "index_entries", ()) for stream in container.streams]
    return max((entry.pos + entry.size for index in indices for entry in index), default=0)


def decoded_audio(
    path: Path, container: InputContainer, stream: AudioStream, error: type[InputError]
) -> Iterator[AudioFrame]:
    """The frames of a sound track; see `_decoded`."""
    for frame in _decoded(path, container, stream, error):
        assert isinstance(frame, av.AudioFrame)
        yield frame


def decoded_video(
    path: Path, container: InputContainer, stream: VideoStream, error: type[InputError]
) -> Iterator[VideoFrame]:
    """The pictures of a video track in the order they are shown; see `_decoded`."""
    for frame in _decoded(path, container, stream, error):
        assert isinstance(frame, av.VideoFrame)
        yield frame


def _decoded(
    path: Path,
    container: InputContainer,
    stream: AudioStream | VideoStream,
    error: type[InputError],
) -> Iterator[object]:
    """Every frame of a stream; raises `error` where data in the middle cannot be decoded.

    A broken packet before the first or after the last good one is where a recording was cut, and
    is left out.
    """
    damage: av.FFmpegError | None = None
    started = False
    for packet in _packets(path, container, error):
        if packet.stream_index != stream.index:
            continue
        try:
            frames = packet.decode()
        except av.FFmpegError as failure:
            damage = failure if started else None
            continue
        if frames and damage is not None:
            raise error(_damaged(path)) from damage
        started = started or bool(frames)
        yield from frames


def _packets(
    path: Path, container: InputContainer, error: type[InputError]
) -> Iterator[Packet[Stream]]:
    """The packets of all streams, the empty ones that end each of them included."""
    packets = container.demux()
    reached = Fraction(0)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError) as failure:
            raise error(_damaged(path)) from failure
        if packet is None:
            break
        if packet.pts is not None:
            reached = max(reached, packet.pts * packet.time_base)
        yield packet
    # FFmpeg takes a broken Matroska file as ended; its header knows better.
    promised = Fraction(container.duration or 0, av.time_base)
    if container.format.name == MATROSKA and reached < promised - 1:
        raise error(
            f"{path} is cut short or damaged: it promises {float(promised):.1f} s "
            f"but {float(reached):.1f} s can be read; copy or export it again."
        )


def _damaged(path: Path) -> str:
    return f"{path} is damaged: part of it cannot be decoded; copy or export it again."
