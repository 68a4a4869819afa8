"""The original live interface: chunks of speech in, frames out, without a server."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import build_avatar, digest
from lipstream.avatar.storage import is_avatar, load_avatar
from lipstream.config import AvatarConfig, MotionConfig, MuseTalkConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.errors import OptionError
from lipstream.media.audio import AudioChunk
from lipstream.rendering.registry import open_backend
from lipstream.stream import LipSyncStream, Segment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.media.image import Image

MAX_AVATARS = 8  # prepared avatars that are kept; the one used longest ago goes first
MAX_STREAMS = 64  # utterances that `process_audio_chunk` has open, likewise


class RealtimeLipSyncEngine:
    """Lip-sync of speech while it arrives.

    `model_path` is a folder of weights; with it the backend is musetalk, without it the best of
    this machine. `buffer_size` is the number of frames that go through the networks at once. Calls
    may come from any thread; the work of one engine is done one piece at a time.
    """

    optimized = False

    def __init__(
        self,
        model_path: str | Path | None = None,
        device: str | None = None,
        buffer_size: int = 4,
        *,
        backend: str = "auto",
        motion: MotionConfig | None = None,
    ) -> None:
        if buffer_size < 1:
            raise OptionError(f"buffer_size must be at least 1, not {buffer_size}.")
        if model_path is not None and backend == "auto":
            backend = "musetalk"
        musetalk = MuseTalkConfig(models=model_path, device=device)
        runtime = RuntimeOptions(live=True, batch=buffer_size, optimized=self.optimized)
        self.engine = Engine(
            open_backend(backend, motion=motion, musetalk=musetalk, runtime=runtime)
        )
        self._avatars: OrderedDict[str, Avatar] = OrderedDict()
        self._streams: OrderedDict[Avatar, LipSyncStream] = OrderedDict()
        self._lock = threading.Lock()

    def preprocess_avatar(self, path: str | Path) -> Avatar:
        """Prepare a picture, a clip or an .avatar file; the same content is prepared once."""
        path, config = Path(path), AvatarConfig()
        loaded = load_avatar(path) if is_avatar(path) else None
        key = loaded.digest if loaded is not None else digest(path, config)
        with self._lock:
            avatar = self._avatars.get(key)
            if avatar is None:
                avatar = loaded or build_avatar(path, config)
                avatar = self.engine.backend.renderer.prepare(avatar)
                self._avatars[key] = avatar
            self._avatars.move_to_end(key)
            while len(self._avatars) > MAX_AVATARS:
                self._avatars.popitem(last=False)
            return avatar

    async def process_audio_chunk(
        self, avatar: Avatar, chunk: NDArray[Any] | bytes, sample_rate: int = 16_000
    ) -> list[Image]:
        """The frames that have become due with `chunk`: 100 ms give 2 or 3, and none is ever lost.

        `chunk` is PCM of any type, (n,) or (n, channels), or bytes of 16-bit mono. Chunks of one
        avatar continue each other until `finish`. Nothing waits for look-ahead: what has not been
        said yet counts as silence, so the last frames of a chunk know less than they could. Where
        80 ms can be spared, or for several speakers at once, use `stream_lipsync`.
        """
        sound = _chunk(chunk, sample_rate)
        return await asyncio.to_thread(self._now, avatar, sound)

    def finish(self, avatar: Avatar) -> None:
        """Forget what `avatar` has heard: its next chunk begins a new utterance."""
        with self._lock:
            self._streams.pop(avatar, None)

    async def stream_lipsync(
        self,
        avatar_path: str | Path | Avatar,
        queue: asyncio.Queue[NDArray[Any] | AudioChunk | bytes | None],
        sample_rate: int = 16_000,
    ) -> AsyncIterator[Image]:
        """Frames of the speech on `queue` as soon as their look-ahead is there, to the last.

        The queue carries PCM of `sample_rate` or `AudioChunk`s; None ends the utterance and the
        rest is flushed. The frames are those of the same speech rendered at once.
        """
        avatar = (
            avatar_path
            if isinstance(avatar_path, Avatar)
            else await asyncio.to_thread(self.preprocess_avatar, avatar_path)
        )
        stream = self.engine.open_stream(avatar)
        while (item := await queue.get()) is not None:
            sound = item if isinstance(item, AudioChunk) else _chunk(item, sample_rate)
            for frame in await asyncio.to_thread(self._push, stream, sound):
                yield frame
        for frame in await asyncio.to_thread(self._render, stream.end()):
            yield frame

    def _now(self, avatar: Avatar, sound: AudioChunk) -> list[Image]:
        with self._lock:
            stream = self._streams.get(avatar)
            if stream is None:
                stream = self._streams[avatar] = self.engine.open_stream(avatar)
            self._streams.move_to_end(avatar)
            while len(self._streams) > MAX_STREAMS:
                self._streams.popitem(last=False)
            segments = stream.push_now(sound)
        return self._render(segments)

    def _push(self, stream: LipSyncStream, sound: AudioChunk) -> list[Image]:
        return self._render(stream.push(sound))

    def _render(self, segments: list[Segment]) -> list[Image]:
        return [frame.frame for frame in self.engine.render(segments)]


class OptimizedLipSyncEngine(RealtimeLipSyncEngine):
    """The same engine, faster: recorded graphs on a GPU, bfloat16 on a CPU that has units for it,
    and what is exact up to rounding everywhere. The puppet is as fast as it can be already."""

    optimized = True


def _chunk(pcm: NDArray[Any] | bytes, sample_rate: int) -> AudioChunk:
    samples = np.frombuffer(pcm, np.int16) if isinstance(pcm, bytes) else np.asarray(pcm)
    return AudioChunk(samples, sample_rate)
