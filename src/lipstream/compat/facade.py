"""The parts that both original classes share: opening, preparing, closing."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipstream.avatar.avatar import Avatar
from lipstream.config import MotionConfig, MuseTalkConfig, RuntimeOptions
from lipstream.engine import open_engine
from lipstream.media.audio import AudioChunk
from lipstream.media.image import Floats

SHRINK = 8  # pixels of a face per column of its latents

_log = logging.getLogger("lipstream")
_Facade = TypeVar("_Facade", bound="Facade")


class Facade:
    """An original class around an `Engine`. A context manager; `close` ends its processes."""

    def __init__(
        self,
        backend: str,
        musetalk: MuseTalkConfig,
        runtime: RuntimeOptions | None = None,
        motion: MotionConfig | None = None,
    ) -> None:
        if backend == "auto" and musetalk.models is not None:
            backend = "musetalk"
        self.engine = open_engine(backend, musetalk=musetalk, runtime=runtime, motion=motion)
        opened = self.engine.backend
        if backend == "auto" and opened.name != "musetalk":
            _log.warning("the %s backend was taken: %s.", opened.name, opened.reason)

    def close(self) -> None:
        """Let go of the engine. May be called twice."""
        self.engine.close()

    def __enter__(self: _Facade) -> _Facade:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.engine!r})"

    def _prepare(self, avatar: Avatar) -> Avatar:
        """The avatar, ready for the backend; it answers `face_latent` and `mask` with each."""
        if self.engine.backend.name == "puppet":
            avatar = PuppetAvatar(**{one.name: getattr(avatar, one.name) for one in fields(Avatar)})
        return self.engine.prepare(avatar)


@dataclass(frozen=True, eq=False, repr=False)
class PuppetAvatar(Avatar):
    """An avatar of the puppet that answers what one of MuseTalk answers, in the same shapes.

    The puppet has no autoencoder. Its `face_latent`, (frames, 8, 32, 32) float32 in -1..1, is the
    face of 256 pixels shrunk to 32: red, green, blue and their mean, first with the lower half
    black, then whole. `mask` is the tuple of (height, width) uint8 masks, one per frame, by which a
    painted face would be put back. Both are computed when they are first read and never saved.
    """

    def __contains__(self, name: object) -> bool:
        return name in ("face_latent", "mask") or super().__contains__(name)

    def __getitem__(self, name: str) -> NDArray[Any] | tuple[NDArray[Any], ...]:
        if super().__contains__(name) or name not in self:
            return super().__getitem__(name)
        return self._arrays[name]

    @cached_property
    def _arrays(self) -> dict[str, NDArray[Any] | tuple[NDArray[Any], ...]]:
        from lipstream.rendering.musetalk.preprocess.prepare import FaceSettings, prepare_faces

        faces = prepare_faces(self, _shrink, FaceSettings(), scaling=1.0)
        none = np.zeros((0, 0), np.uint8)
        masks = tuple(none if plan is None else plan.mask for plan in faces.plans)
        return {"face_latent": faces.latents, "mask": masks}


def _shrink(images: Floats) -> Floats:
    """(n, 3, side, side) -> (n, 4, side / 8, side / 8): means of squares, and of the colours."""
    count, colours, side, _ = images.shape
    squares = images.reshape(count, colours, side // SHRINK, SHRINK, side // SHRINK, SHRINK)
    small = squares.mean((3, 5))
    return np.concatenate([small, small.mean(1, keepdims=True)], 1)


def chunk_of(audio: ArrayLike | AudioChunk | bytes, sample_rate: int) -> AudioChunk:
    """PCM of any type or bytes of 16-bit mono, of `sample_rate`; an `AudioChunk` has its own."""
    if isinstance(audio, AudioChunk):
        return audio
    pcm = np.frombuffer(audio, np.int16) if isinstance(audio, bytes) else audio
    return AudioChunk(pcm, sample_rate)
