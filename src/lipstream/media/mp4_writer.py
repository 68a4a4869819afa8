"""Frames and sound into an mp4 file that appears only when it is complete."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
import soxr
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipstream.config import Mp4Config
from lipstream.errors import MissingError, OptionError, OutputError
from lipstream.installation import pip_install
from lipstream.media.audio import AudioChunk
from lipstream.media.i420 import BT709, LIMITED, pad_to_even, paste_i420, to_i420
from lipstream.media.image import I420, Box, Floats, Image
from lipstream.media.output_path import checked_target, part_of, writing
from lipstream.timeline import FPS

TITLE = "AI-generated video"
COMMENT = "AI-generated video: the lip movements were synthesised from speech by lipstream."

# Every AAC player plays these. Other rates are brought to the next one up, at most to 48 kHz.
AAC_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
# What is switched off at a preset of x264, as a talking face does not gain from it: measured by
# benchmarks/cpu/encoder_options.py.
SWITCHED_OFF = {"veryfast": "me=dia:subme=1:b-adapt=0"}
ONE_THREAD_PIXELS = 640 * 640  # of the largest picture that one thread encodes
MAX_QUEUED = 16  # frames and chunks between the caller and the encoder; a full queue makes it wait


@dataclass(frozen=True, slots=True, eq=False)
class StillPicture:
    """A picture that all frames of a movie show, but for one box."""

    pixels: Image
    moving: Box


class Mp4Writer:
    """Writes one mp4 (H.264, AAC) as a context manager.

    Picture and sound both start at time 0; frame i is shown at i / fps. Encoding runs in a thread
    of its own, so an encoder or disk error may surface on a later call, at the latest on exit.
    The target appears, whole, when the block ends without an exception; else nothing changes.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        fps: Fraction = FPS,
        audio: tuple[int, int] | None = None,
        config: Mp4Config | None = None,
        still: StillPicture | None = None,
    ) -> None:
        """`size` is (width, height); `audio` is (sample rate, 1 or 2 channels), None for no sound.

        With `still`, all frames are that picture outside of its box, and only this is looked at.
        Raises OptionError or OutputError at once when the file can never be written.
        """
        if min(size) < 1 or fps <= 0:
            raise OptionError(f"a movie of {size[0]}x{size[1]} at {fps} fps cannot be written.")
        if audio and audio[1] not in (1, 2):
            raise OptionError(f"a movie has 1 or 2 sound channels, not {audio[1]}.")
        self.path = Path(path)
        self.size, self.audio = size, audio
        self._fps, self._config = Fraction(fps), config or Mp4Config()
        self._still = None if still is None else _StillPlanes(still)
        self._target = checked_target(self.path)
        self._part = part_of(self._target)
        self._queue: queue.Queue[I420 | AudioChunk | None] = queue.Queue(MAX_QUEUED)
        self._failure: BaseException | None = None
        self._thread: threading.Thread

    def __enter__(self) -> Mp4Writer:
        # The file is made here, as the thread could make it after an interrupt had cleaned up.
        with contextlib.ExitStack() as undo:
            undo.callback(self._remove_part)
            with writing(self.path, av.FFmpegError):
                part = undo.enter_context(_PartFile(self._part, "x"))
            self._thread = threading.Thread(
                target=self._work, args=(part,), name="movie-writer", daemon=True
            )
            undo.callback(self._queue.put, None)  # the interrupt may come when it has started
            self._thread.start()
            undo.pop_all()
        return self

    def write_frame(self, frame: Image) -> None:
        """Append (height, width, 3) uint8 RGB, which the caller may reuse afterwards."""
        width, height = self.size
        if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
            raise OptionError(
                f"a frame of {self.path} must be {width}x{height} RGB uint8, "
                f"not {frame.shape} {frame.dtype}."
            )
        # Not in the thread: the queue holds half the bytes, and the picture need not be copied.
        still = self._still
        self._put(_planes(frame) if still is None else still.with_motion(frame))

    def write_audio(self, chunk: AudioChunk) -> None:
        """Append sound of the rate and channels given to the constructor."""
        if (chunk.sample_rate, chunk.channels) != self.audio:
            raise OptionError(
                f"sound of {chunk.sample_rate} Hz with {chunk.channels} channels does not fit "
                f"{self.path}, which was opened for {self.audio}."
            )
        if len(chunk):
            self._put(AudioChunk(chunk.samples, chunk.sample_rate))  # a copy

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._failure = self._failure or error
            self._queue.put(None)
            self._thread.join()
            if error is None:
                self._raise_failure()
                with writing(self.path, av.FFmpegError):
                    os.replace(self._part, self._target)
        finally:
            # Also the way out of an interrupt, after which the thread must still end.
            self._failure = self._failure or InterruptedError()
            self._remove_part()
            if self._thread.is_alive():
                self._queue.put(None)

    def _put(self, item: I420 | AudioChunk) -> None:
        self._raise_failure()
        self._queue.put(item)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _remove_part(self) -> None:
        with contextlib.suppress(OSError):  # what led here says more
            self._part.unlink(missing_ok=True)

    def _items(self) -> Iterator[I420 | AudioChunk]:
        """The frames and chunks of the queue, up to None; at its end it stays there."""
        while (item := self._queue.get()) is not None:
            yield item

    def _work(self, part: _PartFile) -> None:
        """Run the encoder. After a failure it only empties the queue, so no caller hangs."""
        items = self._items()
        try:
            with writing(self.path, av.FFmpegError), part:
                encoder = _Encoder(part, self.size, self._fps, self.audio, self._config)
                with contextlib.closing(encoder):
                    for item in items:
                        if self._failure is None:
                            encoder.write(item)
                    if self._failure is None:
                        encoder.finish()
        except BaseException as failure:  # every kind is the caller's, who raises it again
            self._failure = self._failure or failure
        for _ in items:
            pass


class _StillPlanes:
    """A still picture, converted once."""

    def __init__(self, still: StillPicture) -> None:
        self._planes = _planes(still.pixels)
        height, width = self._planes.shape[0] * 2 // 3, self._planes.shape[1]
        box = still.moving
        even = Box(
            box.left // 2 * 2, box.top // 2 * 2, -(-box.right // 2) * 2, -(-box.bottom // 2) * 2
        )
        self._moving = even.clip(width, height)

    def with_motion(self, frame: Image) -> I420:
        """The planes of a frame that is the picture, but for its moving part."""
        return paste_i420(self._planes, _planes(frame[self._moving.slices]), self._moving)


def _planes(picture: Image) -> I420:
    return to_i420(pad_to_even(picture), BT709)


class _Encoder:
    def __init__(
        self,
        file: _PartFile,
        size: tuple[int, int],
        fps: Fraction,
        audio: tuple[int, int] | None,
        config: Mp4Config,
    ) -> None:
        # Edit lists count in the movie's time scale: milliseconds would round the last sample off.
        rate = aac_rate(audio[0]) if audio else 0
        options = {"movflags": "+faststart", "movie_timescale": str(rate or fps.numerator)}
        self._file = file
        self._container = av.open(file, "w", format="mp4", options=options)
        self._container.metadata.update(title=TITLE, comment=COMMENT)
        self._video = self._video_stream(size, fps, config)
        self._audio = self._audio_stream(rate, audio[1], config) if audio else None
        self._resampler = None
        if audio and audio[0] != rate:
            self._resampler = soxr.ResampleStream(audio[0], rate, audio[1], quality="HQ")
        self._frames = self._samples = 0

    def _video_stream(self, size: tuple[int, int], fps: Fraction, config: Mp4Config) -> VideoStream:
        options = {"crf": str(config.crf), "preset": config.preset}
        if config.preset in SWITCHED_OFF:
            options["x264-params"] = SWITCHED_OFF[config.preset]
        try:
            stream = self._container.add_stream("libx264", rate=fps, options=options)
        except ValueError as error:  # PyAV's UnknownCodecError: built without the encoder
            raise MissingError(
                "this PyAV has no H.264 encoder (libx264); install its wheel with "
                f"`{pip_install('--force-reinstall', '--only-binary', 'av', 'av')}`."
            ) from error
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = (side + side % 2 for side in size)
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / fps
        # Small pictures are encoded as fast by one thread, which leaves a core to draw the next.
        context.thread_count = 1 if size[0] * size[1] <= ONE_THREAD_PIXELS else 0
        context.color_primaries = context.color_trc = context.colorspace = BT709.code
        context.color_range = LIMITED
        return stream

    def _audio_stream(self, rate: int, channels: int, config: Mp4Config) -> AudioStream:
        # The fast coder takes half the time, and at this bit rate it is also the more exact one.
        stream = self._container.add_stream("aac", rate=rate, options={"aac_coder": "fast"})
        assert isinstance(stream, AudioStream)
        stream.layout = "mono" if channels == 1 else "stereo"
        stream.bit_rate = config.audio_bitrate
        stream.codec_context.time_base = Fraction(1, rate)
        return stream

    def write(self, item: I420 | AudioChunk) -> None:
        if not isinstance(item, AudioChunk):
            self._write_frame(item)
        elif self._resampler is None:
            self._write_audio(item.samples)
        else:
            self._write_audio(self._resampler.resample_chunk(np.ascontiguousarray(item.samples)))

    def _write_frame(self, picture: I420) -> None:
        # Borrowed, not copied; FFmpeg refuses that for chroma of a single row.
        wrap = VideoFrame.from_numpy_buffer if len(picture) > 3 else VideoFrame.from_ndarray
        frame = wrap(picture, "yuv420p")
        frame.colorspace, frame.color_range = BT709.code, LIMITED
        frame.pts, frame.time_base = self._frames, self._video.codec_context.time_base
        self._frames += 1
        self._container.mux(self._video.encode(frame))

    def _write_audio(self, samples: Floats) -> None:
        assert self._audio is not None
        if not len(samples):
            return
        planes = np.ascontiguousarray(samples.T)
        frame = AudioFrame.from_ndarray(planes, format="fltp", layout=self._audio.layout.name)
        frame.sample_rate = self._audio.sample_rate
        frame.pts, frame.time_base = self._samples, Fraction(1, frame.sample_rate)
        self._samples += len(samples)
        self._container.mux(self._audio.encode(frame))

    def finish(self) -> None:
        """Encode what is still inside and write the index."""
        if not self._frames:
            raise OutputError("no frame was written, as the audio was empty; choose another file.")
        if self._audio is not None:
            if self._resampler is not None:
                channels = self._audio.codec_context.channels
                nothing = np.zeros((0, channels), np.float32)
                self._write_audio(self._resampler.resample_chunk(nothing, last=True))
            self._container.mux(self._audio.encode(None))
        self._container.mux(self._video.encode(None))
        self._container.close()
        # Wait for the disk, so that the name never points at a file a power cut could empty.
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file. Before `finish` it is unusable, and the error is known."""
        self._file.close()
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()


class _PartFile(io.FileIO):
    """The unfinished file, ours and not FFmpeg's, so that it is always closed."""

    def write(self, data: Any, /) -> int:
        """All of `data`: FFmpeg would take a short write, as on a full disk, for a whole one."""
        view = memoryview(data)
        done = 0
        while done < len(view):
            done += super().write(view[done:])
        return done


def aac_rate(sample_rate: int) -> int:
    """The rate the sound of a movie is stored in."""
    return next((rate for rate in AAC_RATES if rate >= sample_rate), AAC_RATES[-1])
