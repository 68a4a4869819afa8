"""One session into one mp4 and its captions, by a thread of its own that nobody waits for."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from lipstream.config import Mp4Config
from lipstream.errors import LipstreamError, disk_is_full, reason_of
from lipstream.live.session.types import SessionEvent, Unit
from lipstream.media.audio import AudioChunk
from lipstream.media.caption_file import write_captions
from lipstream.media.i420 import BT601, even_size, pad_to_even, to_i420
from lipstream.media.image import I420, Picture
from lipstream.media.mp4_encoder import Mp4Encoder, PartFile
from lipstream.media.output_path import part_of
from lipstream.server.outputs.caption_log import CaptionLog
from lipstream.timeline import FPS, SOUND_RATE, UNIT_MS, UNIT_SAMPLES

MAX_UNITS = 50  # that wait for the thread; of what comes beyond, the time is filled
MAX_GAP = 250  # units that may be missing in a row; a longer time is left out
MAX_EVENTS = 4096  # that wait for the next unit
NICENESS = 5  # of its thread: what is live goes first
MIN_PLAYABLE = 1024  # bytes of a .part; it has less before its first pictures
CONFIG = Mp4Config(crf=20, audio_bitrate=96_000)
SILENCE: NDArray[np.int16] = np.zeros(UNIT_SAMPLES, np.int16)

log = logging.getLogger("lipstream.server")

Ending: TypeAlias = Literal["kept", "empty", "failed"]


@dataclass(frozen=True, slots=True)
class RecordingEnd:
    """The end of a recording: it is kept, had nothing to keep, or could not be written."""

    ending: Ending
    seconds: float = 0.0
    captions: int = 0
    reason: str = ""  # why something is missing, in words for an operator; names no folder


class Recording:
    """Takes the units and events of one session on its event loop, and never makes it wait.

    The mp4 has its name once it is whole: 25 frames a second, in which a unit that is missing shows
    the picture before in silence, and sound and picture as the session gave them. A file that could
    not be finished (the disk was full, the process died) stays as a hidden .part, which can be
    played up to its last key frame.
    """

    def __init__(self, path: Path, on_end: Callable[[RecordingEnd], None]) -> None:
        """Record into `path`, and its captions beside it. `on_end` is called once, in the thread of
        the recording, or by `finish` when there was no unit."""
        self.path = path
        self.left_out = 0  # units that found no room
        self._on_end = on_end
        self._queue: queue.Queue[_Item | None] = queue.Queue()  # `put` bounds it
        self._events: list[SessionEvent] = []  # since the last unit
        self._thread: threading.Thread | None = None
        self._over = False

    @property
    def waiting(self) -> int:
        """Units that wait to be written."""
        return self._queue.qsize()

    @property
    def over(self) -> bool:
        """True once it takes no more: it was finished, or has failed."""
        return self._over

    def put(self, unit: Unit) -> None:
        """Record `unit` if there is room, else leave it out."""
        if self._over:
            return
        if self.waiting >= MAX_UNITS:
            self.left_out += 1
            return
        if self._thread is None and not self._start():
            return
        events, self._events = tuple(self._events), []
        self._queue.put(_Item(unit, events))

    def note(self, event: SessionEvent) -> None:
        """Record an event with the unit that comes next."""
        if not self._over and len(self._events) < MAX_EVENTS:
            self._events.append(event)

    def finish(self) -> None:
        """Take no more; the file gets its name when all that waits was written. May be repeated."""
        if self._over:
            return
        self._over = True
        if self._thread is None:
            self._on_end(RecordingEnd("empty"))
        else:
            self._queue.put(None)

    def _start(self) -> bool:
        """Start the thread; False, and the end of the recording, where the system has none left."""
        thread = threading.Thread(target=self._work, name="recording", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._over = True
            self._on_end(RecordingEnd("failed", reason="no thread could be started"))
            return False
        self._thread = thread
        return True

    def _work(self) -> None:
        """Write until `finish`, or until it fails; then `put` takes nothing any more."""
        with contextlib.suppress(AttributeError, OSError):  # a thread's own on Linux alone
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        try:
            end = self._record()
        except (OSError, av.FFmpegError, LipstreamError) as error:
            end = RecordingEnd("failed", reason=_reason(error))
        except Exception:
            # A bug costs this recording, whose thread nobody watches; the session goes on.
            log.exception("a recording failed")
            end = RecordingEnd("failed", reason="an error of the server")
        self._over = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._on_end(end)

    def _record(self) -> RecordingEnd:
        item = self._queue.get()
        assert item is not None  # the thread begins with a unit
        part, track = part_of(self.path), _Track()
        try:
            with PartFile(part, private=True) as file:
                size = even_size(item.unit.frame)
                audio = SOUND_RATE, 1
                encoder = Mp4Encoder(file, size, FPS, audio, CONFIG, matrix=BT601, live=True)
                with contextlib.closing(encoder):
                    while item is not None:
                        track.add(item, encoder)
                        item = self._queue.get()
                    encoder.finish()
            os.replace(part, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                if part.stat().st_size < MIN_PLAYABLE:
                    part.unlink()
            raise
        captions, seconds = track.captions.captions, track.units * UNIT_MS / 1000
        shown = 0
        if captions:
            target, samples = self.path.with_suffix(".vtt"), track.units * UNIT_SAMPLES
            try:
                shown = write_captions(target, captions, SOUND_RATE, samples, private=True)
            except LipstreamError as error:  # the movie is whole all the same
                return RecordingEnd("kept", seconds, reason=f"no captions: {_reason(error)}")
        return RecordingEnd("kept", seconds, shown)


@dataclass(frozen=True, slots=True)
class _Item:
    unit: Unit
    events: tuple[SessionEvent, ...]  # that came before it, since the one before


class _Track:
    """Units one after the other, without holes."""

    def __init__(self) -> None:
        self.units = 0  # written
        self.captions = CaptionLog()
        self._next: int | None = None  # index of the unit that would be next
        self._picture: Picture | None = None
        self._planes: I420 | None = None  # of `_picture`

    def add(self, item: _Item, encoder: Mp4Encoder) -> None:
        """Write a unit, and before it what is missing."""
        unit = item.unit
        missing = 0 if self._next is None else unit.index - self._next
        if self._planes is not None and 0 < missing <= MAX_GAP:
            for _ in range(missing):
                self._write(encoder, self._planes, SILENCE)
        for event in item.events:
            self.captions.add(event, self.units)
        if self._planes is None or unit.frame is not self._picture:
            self._picture, self._planes = unit.frame, _planes(unit.frame)
        self._write(encoder, self._planes, unit.samples)
        self._next = unit.index + 1

    def _write(self, encoder: Mp4Encoder, planes: I420, sound: NDArray[np.int16]) -> None:
        encoder.write(planes)
        encoder.write(AudioChunk(sound, SOUND_RATE))
        self.units += 1


def _planes(picture: Picture) -> I420:
    """The planes of a picture as a renderer of live sessions gives it."""
    return picture if picture.ndim == 2 else to_i420(pad_to_even(picture), BT601)


def _reason(error: Exception) -> str:
    if disk_is_full(error):
        return "the disk is full"
    return reason_of(error.__cause__ if isinstance(error.__cause__, OSError) else error)
