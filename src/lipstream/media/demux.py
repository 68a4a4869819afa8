"""Opening and decoding a media file: what sound and pictures have in common."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from lipstream.errors import InputError, PictureError
from lipstream.media.input_path import opened

MOV = "mov,mp4,m4a,3gp,3g2,mj2"  # FFmpeg's name of the mp4 family
MATROSKA = "matroska,webm"
STREAMED_WAV = 0x7FFF_F000  # data sizes from here on are placeholders of programs that stream


@contextlib.contextmanager
def open_media(path: Path, error: type[InputError]) -> Iterator[MediaFile]:
    """Open a local file for decoding; raises `error` with one sentence when that cannot be done.

    The file is opened here and handed over as bytes, and no protocol is allowed besides: a
    playlist can make FFmpeg neither fetch an address nor read another file.
    """
    options = {"protocol_whitelist": "none"}
    with opened(path, error) as handle:
        announced = _wav_length(handle)
        try:
            container = av.open(
                SeekableFile(handle), "r", options=options, metadata_errors="replace"
            )
        except (av.FFmpegError, OSError) as failure:
            raise _unreadable(path, error) from failure
        with container:
            media, size = MediaFile(path, container, error), path.stat().st_size
            announced = max(announced, _indexed_length(container))
            if announced > size:
                raise media.refusal(
                    f"is cut short: {announced} bytes are announced and {size} exist; "
                    "copy or export it again"
                )
            yield media


class SeekableFile:
    """A file whose impossible seeks fail by a number: PyAV prints exceptions to standard error."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.name, self.read, self.tell = file.name, file.read, file.tell

    def seek(self, offset: int, whence: int = 0) -> int:
        """The new place; -1, which FFmpeg takes for an error, where there is none."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


@dataclass(frozen=True, slots=True)
class MediaFile:
    """An open file; whatever is wrong with it is raised as `error` and names it."""

    path: Path
    container: InputContainer
    error: type[InputError]

    def refusal(self, text: str) -> InputError:
        """The error whose sentence begins with the file's name."""
        return self.error(f"{self.path} {text}.")

    def decode(
        self, stream: AudioStream | VideoStream, decoder: VideoCodecContext | None = None
    ) -> Iterator[Any]:
        """Every AudioFrame or VideoFrame of a stream, in the order in which it is played.

        By the stream's own decoder unless another is given. Raises where data in the middle cannot
        be decoded. A broken packet before the first or after the last good one is where a
        recording was cut, and is left out.
        """
        damage: av.FFmpegError | None = None
        started = False
        for packet in self._packets():
            # Not `packet.stream_index`: the empty packets that flush decoders all say 0 there.
            if packet.stream.index != stream.index:
                continue
            try:
                frames = packet.decode() if decoder is None else decoder.decode(packet)
            except av.FFmpegError as failure:
                damage = failure if started else None
                continue
            if frames and damage is not None:
                raise self.damaged() from damage
            started = started or bool(frames)
            yield from frames

    def reach(self, stream: AudioStream | VideoStream) -> Fraction:
        """The seconds to which the packets of a stream reach; the file is read to its end."""
        first, last = None, Fraction(0)
        for packet in self._packets():
            if packet.stream.index == stream.index and packet.pts is not None:
                start = packet.pts * packet.time_base
                first = start if first is None else min(first, start)
                last = max(last, start + (packet.duration or 0) * packet.time_base)
        return last - (first or 0)

    def _packets(self) -> Iterator[Packet[Stream]]:
        """The packets of all streams, the empty ones that end each of them included."""
        packets = self.container.demux()
        reached = Fraction(0)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError) as failure:
                raise self.damaged() from failure
            except IndexError:  # PyAV's, at the end of a file in which a track began on the way
                packet = None
            if packet is None:
                break
            if packet.pts is not None:
                reached = max(reached, packet.pts * packet.time_base)
            yield packet
        # FFmpeg takes a broken Matroska file as ended; its header knows better.
        promised = Fraction(self.container.duration or 0, av.time_base)
        if self.container.format.name == MATROSKA and reached < promised - 1:
            raise self.refusal(
                f"is cut short or damaged: it promises {float(promised):.1f} s "
                f"but {float(reached):.1f} s can be read; copy or export it again"
            )

    def unreadable(self) -> InputError:
        """The error for a file that turns out to be no media at all."""
        return _unreadable(self.path, self.error)

    def damaged(self) -> InputError:
        """The error for data in the middle that cannot be decoded."""
        return self.refusal("is damaged: part of it cannot be decoded; copy or export it again")


def _unreadable(path: Path, error: type[InputError]) -> InputError:
    wanted = "a picture or video" if error is PictureError else "audio or video"
    return error(
        f"{path} cannot be read as {wanted}, or it is cut short; check it or export it again."
    )


def _wav_length(handle: IO[bytes]) -> int:
    """Bytes that a WAV file announces, unchecked by FFmpeg; 0 for other files and for streams."""
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
