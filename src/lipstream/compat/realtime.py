"""The original live interface: chunks of speech in, frames out, without a server."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from concurrent.futures import Future
from os import PathLike
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import build_avatar, digest
from lipstream.avatar.storage import is_avatar, load_avatar
from lipstream.compat.facade import Facade, chunk_of
from lipstream.config import AvatarConfig, MotionConfig, MuseTalkConfig, RuntimeOptions
from lipstream.errors import OptionError
from lipstream.media.audio import AudioChunk
from lipstream.media.image import Picture
from lipstream.stream import LipSyncStream, Segment

MAX_AVATARS = 8  # in `avatar_cache`; the one used longest ago goes first
MAX_SPEECHES = 64  # that `process_audio_chunk` has open, likewise


class RealtimeLipSyncEngine(Facade):
    """Lip-sync of speech while it arrives.

    `model_path` is a folder of weights; with it the backend is musetalk, without it the best of
    this machine. `buffer_size` is the number of frames that go through the networks at once, and of
    the last pictures in `frame_buffer`. `avatar_cache` has the avatars prepared last, at most 8, by
    a hash of their content. Calls may come from any thread; frames go on while an avatar is built.
    """

    optimized = False

    def __init__(
        self,
        model_path: str | PathLike[str] | None = None,
        device: str | None = None,
        buffer_size: int = 4,
        *,
        backend: str = "auto",
        motion: MotionConfig | None = None,
    ) -> None:
        if buffer_size < 1:
            raise OptionError(f"buffer_size must be at least 1, not {buffer_size}.")
        musetalk = MuseTalkConfig(model_path, device=device)
        runtime = RuntimeOptions(live=True, batch=buffer_size, optimized=self.optimized)
        super().__init__(backend, musetalk, runtime, motion)
        self.frame_buffer: deque[Picture] = deque(maxlen=buffer_size)
        self.avatar_cache: OrderedDict[str, Avatar] = OrderedDict()
        self._building = threading.Lock()  # takes seconds; nothing that draws needs it
        self._speeches: OrderedDict[tuple[Avatar, Hashable], _Speech] = OrderedDict()
        self._lock = threading.Lock()  # of `_speeches`

    def preprocess_avatar(self, image_path: str | PathLike[str]) -> Avatar:
        """Prepare or open an avatar, once; it answers `["face_latent"]`, `["mask"]` and `in`."""
        path, config = Path(image_path), AvatarConfig()
        loaded = load_avatar(path) if is_avatar(path) else None
        key = loaded.digest if loaded is not None else digest(path, config)
        with self._building:
            avatar = self.avatar_cache.get(key)
            if avatar is None:
                avatar = self._prepare(loaded or build_avatar(path, config))
                self.avatar_cache[key] = avatar
            self.avatar_cache.move_to_end(key)
            while len(self.avatar_cache) > MAX_AVATARS:
                self.avatar_cache.popitem(last=False)
            return avatar

    async def process_audio_chunk(
        self,
        avatar_data: Avatar,
        audio_chunk: ArrayLike | AudioChunk | bytes,
        sample_rate: int = 16_000,
        *,
        speaker: Hashable = None,
    ) -> list[Picture]:
        """The frames that have become due with the chunk: 100 ms give 2 or 3, none is ever lost.

        `audio_chunk` is PCM of any type, (n,) or (n, channels), or bytes of 16-bit mono. Nothing
        waits for look-ahead: what has not been spoken yet counts as silence, so the last frames of
        a chunk know less than they could. Where 80 ms can be spared use `stream_lipsync`.

        The chunks of one avatar are one speech until `finish`, in the order of the calls. Several
        speakers with one avatar need a `speaker` each, any value: two tasks that take turns without
        one get `OptionError`, as their words would be mixed.
        """
        speech = self._speech(avatar_data, speaker)
        turn = speech.append(chunk_of(audio_chunk, sample_rate))
        pictures = await asyncio.to_thread(lambda: self._render(speech.segments(turn)))
        self.frame_buffer.extend(pictures)
        return pictures

    def finish(self, avatar_data: Avatar, speaker: Hashable = None) -> None:
        """End a speech: the next chunk of this avatar and speaker begins another one."""
        with self._lock:
            self._speeches.pop((avatar_data, speaker), None)

    async def stream_lipsync(
        self,
        avatar_path: str | PathLike[str] | Avatar,
        audio_stream: asyncio.Queue[Any],
        sample_rate: int = 16_000,
    ) -> AsyncIterator[Picture]:
        """Frames of the speech in a queue as soon as their look-ahead has come, to the last.

        The queue carries PCM of `sample_rate`, bytes of 16-bit mono or `AudioChunk`s; None ends the
        speech and the rest is flushed. The frames are those of the same speech rendered at once.
        Any number of these may run, with one avatar or several.
        """
        avatar = avatar_path
        if not isinstance(avatar, Avatar):
            avatar = await asyncio.to_thread(self.preprocess_avatar, avatar)
        stream, ended = self.engine.open_stream(avatar), False
        while not ended:
            item = await audio_stream.get()
            ended = item is None
            for picture in await asyncio.to_thread(self._advance, stream, item, sample_rate):
                self.frame_buffer.append(picture)
                yield picture

    def _advance(self, stream: LipSyncStream, item: Any, sample_rate: int) -> list[Picture]:
        ended = item is None
        return self._render(stream.end() if ended else stream.push(chunk_of(item, sample_rate)))

    def _speech(self, avatar: Avatar, speaker: Hashable) -> _Speech:
        with self._lock:
            key = avatar, speaker
            speech = self._speeches.get(key)
            if speech is None:
                speech = self._speeches[key] = _Speech(self.engine.open_stream(avatar))
            self._speeches.move_to_end(key)
            while len(self._speeches) > MAX_SPEECHES:
                self._speeches.popitem(last=False)
            return speech

    def _render(self, segments: list[Segment]) -> list[Picture]:
        return [timed.frame for timed in self.engine.render(segments)]


class OptimizedLipSyncEngine(RealtimeLipSyncEngine):
    """The same engine, faster: recorded graphs on a GPU, bfloat16 on a CPU that has units for it,
    and what is exact up to rounding everywhere. The puppet is as fast as it can be already."""

    optimized = True


class _Speech:
    """The chunks of one speaker: taken in the order of the calls, whichever thread is first."""

    def __init__(self, stream: LipSyncStream) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._waiting: deque[tuple[AudioChunk, Future[list[Segment]]]] = deque()
        self._tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()  # that have spoken
        self._last: weakref.ref[asyncio.Task[Any]] | None = None

    def append(self, chunk: AudioChunk) -> Future[list[Segment]]:
        """Queue the next chunk; called by the task that speaks."""
        task = asyncio.current_task()
        if task is not None:
            if task in self._tasks and (self._last is None or self._last() is not task):
                raise OptionError(
                    "two tasks speak with one avatar by turns, and their words would be mixed; "
                    "give each a speaker= of its own, or use stream_lipsync."
                )
            self._tasks.add(task)
            self._last = weakref.ref(task)
        turn: Future[list[Segment]] = Future()
        self._waiting.append((chunk, turn))
        return turn

    def segments(self, turn: Future[list[Segment]]) -> list[Segment]:
        """Those that became due with the chunk of `turn`; takes the ones queued before it, too."""
        with self._lock:
            while not turn.done():
                chunk, due = self._waiting.popleft()
                try:
                    due.set_result(self._stream.push_now(chunk))
                except Exception as error:  # it belongs to whoever pushed this chunk
                    due.set_exception(error)
        return turn.result()
