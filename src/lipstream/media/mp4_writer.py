"""Frames and sound into an mp4 file that appears only when it is complete."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from lipstream.config import Mp4Config
from lipstream.errors import OptionError
from lipstream.media.audio import AudioChunk
from lipstream.media.i420 import BT709, StillPlanes, pad_to_even, to_i420
from lipstream.media.image import I420, Box, Image
from lipstream.media.mp4_encoder import Mp4Encoder, PartFile
from lipstream.media.output_path import checked_target, part_of, writing
from lipstream.timeline import FPS

MAX_QUEUED = 16  # frames and chunks between the caller and the encoder; a full queue makes it wait


@dataclass(frozen=True, slots=True, eq=False)
class StillPicture:
    """A picture that all frames of a movie show, but for one box (see `StillPlanes`)."""

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

        With `still`, all frames are that picture outside of its box, and only this is written.
        Raises OptionError or OutputError at once when the file can never be written.
        """
        if min(size) < 1 or fps <= 0:
            raise OptionError(f"a movie of {size[0]}x{size[1]} at {fps} fps cannot be written.")
        if audio and audio[1] not in (1, 2):
            raise OptionError(f"a movie has 1 or 2 sound channels, not {audio[1]}.")
        self.path = Path(path)
        self.size, self.audio = size, audio
        self._fps, self._config = Fraction(fps), config or Mp4Config()
        self._frame_size, self._still = size, None
        if still is not None:
            self._frame_size = still.moving.width, still.moving.height
            self._still = StillPlanes(still.pixels, still.moving, BT709)
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
                part = undo.enter_context(PartFile(self._part))
            self._thread = threading.Thread(
                target=self._work, args=(part,), name="movie-writer", daemon=True
            )
            undo.callback(self._queue.put, None)  # the interrupt may come when it has started
            self._thread.start()
            undo.pop_all()
        return self

    def write_frame(self, frame: Image) -> None:
        """Append (height, width, 3) uint8 RGB, which the caller may reuse afterwards: a picture, or
        the moving part of a still one."""
        width, height = self._frame_size
        if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
            raise OptionError(
                f"a frame of {self.path} must be {width}x{height} RGB uint8, "
                f"not {frame.shape} {frame.dtype}."
            )
        # Not in the thread: the queue holds half the bytes, and the picture need not be copied.
        still = self._still
        self._put(to_i420(pad_to_even(frame), BT709) if still is None else still.part(frame))

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

    def _whole(self, item: I420 | AudioChunk) -> I420 | AudioChunk:
        """The picture that the planes of a moving part belong to. x264 copies what it is given, so
        that the next may be drawn into the same planes."""
        if self._still is None or isinstance(item, AudioChunk):
            return item
        return self._still.draw(item)

    def _work(self, part: PartFile) -> None:
        """Run the encoder. After a failure it only empties the queue, so no caller hangs."""
        items = self._items()
        try:
            with writing(self.path, av.FFmpegError), part:
                still = self._still is not None
                encoder = Mp4Encoder(
                    part, self.size, self._fps, self.audio, self._config, still=still
                )
                with contextlib.closing(encoder):
                    for item in items:
                        if self._failure is None:
                            encoder.write(self._whole(item))
                    if self._failure is None:
                        encoder.finish()
        except BaseException as failure:  # every kind is the caller's, who raises it again
            self._failure = self._failure or failure
        for _ in items:
            pass
