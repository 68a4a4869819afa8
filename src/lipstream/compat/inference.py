"""The original offline interface: an avatar and speech in, frames out, frames to a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar
from lipstream.compat.facade import Facade, chunk_of
from lipstream.config import MuseTalkConfig
from lipstream.engine import Engine
from lipstream.errors import OptionError
from lipstream.media.audio import AudioChunk
from lipstream.media.audio_reader import open_audio
from lipstream.media.image import Floats, Picture
from lipstream.media.mp4_writer import Mp4Writer
from lipstream.offline import render_stream
from lipstream.rendering.base import FrameRequest
from lipstream.timeline import exact_rate


class MuseTalkInference(Facade):
    """Offline lip-sync of whole utterances.

    `musetalk_config` and `musetalk_model` are the files of one version inside a models folder
    (`models/musetalkV15/musetalk.json` and `unet.pth`); without them the best backend of this
    machine is taken. Raises a `LipstreamError` when they are not what they should be.
    """

    def __init__(
        self,
        musetalk_config: str | PathLike[str] | None = None,
        musetalk_model: str | PathLike[str] | None = None,
        device: str | None = None,
        *,
        backend: str = "auto",
    ) -> None:
        super().__init__(backend, _musetalk(musetalk_config, musetalk_model, device))

    def preprocess_avatar(self, path: str | PathLike[str]) -> Avatar:
        """Prepare or open an avatar, which answers `["face_latent"]`, `["mask"]` and `in`."""
        return self._prepare(open_avatar(Path(path)))

    def generate(
        self,
        avatar: Avatar,
        audio: ArrayLike | AudioChunk | str | PathLike[str],
        sample_rate: int = 16_000,
    ) -> list[Picture]:
        """All frames of `audio`: PCM of any type, (n,) or (n, channels), or a file.

        n samples give exactly floor(25 n / sample_rate) frames, (height, width, 3) uint8 RGB each,
        at least one. `sample_rate` is that of PCM; a file has its own.
        """
        if isinstance(audio, (str, PathLike)):
            with open_audio(Path(audio)) as sound:
                return self._frames(avatar, sound)
        return self._frames(avatar, [chunk_of(audio, sample_rate)])

    def save_video(
        self,
        frames: Sequence[Picture],
        path: str | PathLike[str],
        fps: float | Fraction = 25,
        audio: ArrayLike | AudioChunk | None = None,
        sample_rate: int | None = None,
    ) -> Path:
        """Write `frames` as an mp4, with `audio` when it is given; makes the folder."""
        if len(frames) == 0:
            raise OptionError("there are no frames to save; generate some from audio first.")
        sound = None
        if audio is not None:
            if sample_rate is None and not isinstance(audio, AudioChunk):
                raise OptionError("sample_rate must be given together with audio.")
            sound = chunk_of(audio, sample_rate or 0)
        target, (height, width) = Path(path), frames[0].shape[:2]
        target.parent.mkdir(parents=True, exist_ok=True)
        rate = exact_rate(fps)
        tracks = None if sound is None else (sound.sample_rate, sound.channels)
        with Mp4Writer(target, (width, height), rate, tracks) as movie:
            for frame in frames:
                movie.write_frame(frame)
            if sound is not None:
                movie.write_audio(sound)
        return target

    def _frames(self, avatar: Avatar, chunks: Iterable[AudioChunk]) -> list[Picture]:
        return [timed.frame for timed in render_stream(self.engine, avatar, chunks)]


class BatchLipSyncProcessor:
    """Frames of features that were computed beforehand, several at a time.

    `engine` is a `MuseTalkInference`, a `RealtimeLipSyncEngine` or an `Engine`. A frame does not
    depend on those that it shares a batch with.
    """

    def __init__(self, engine: Facade | Engine, batch_size: int = 4) -> None:
        if batch_size < 1:
            raise OptionError(f"batch_size must be at least 1, not {batch_size}.")
        self.engine = engine.engine if isinstance(engine, Facade) else engine
        self.batch_size = batch_size

    def process_batch(
        self, avatar_data: Avatar, audio_features: Floats | Sequence[Floats], first_frame: int = 0
    ) -> list[Picture]:
        """One frame per row of `audio_features`, (frames, ...) as the backend's encoder makes."""
        requests = [
            FrameRequest(avatar_data, index, np.asarray(row, np.float32))
            for index, row in enumerate(audio_features, first_frame)
        ]
        pictures: list[Picture] = []
        for start in range(0, len(requests), self.batch_size):
            batch = requests[start : start + self.batch_size]
            pictures += self.engine.backend.renderer.render(batch)
        return pictures


def _musetalk(
    config: str | PathLike[str] | None, model: str | PathLike[str] | None, device: str | None
) -> MuseTalkConfig:
    """The models folder and the version that two files of it stand for."""
    given = [Path(path) for path in (model, config) if path is not None]
    if not given:
        return MuseTalkConfig(device=device)
    folders = {path.parent.resolve() for path in given}
    if len(folders) > 1:
        raise OptionError(
            f"musetalk_config {config} and musetalk_model {model} must lie in one folder."
        )
    version = {"musetalk": "v1", "musetalkV15": "v15"}.get(given[0].parent.name)
    if version is None:
        raise OptionError(
            f"{given[0]} must lie in a folder called musetalk or musetalkV15 beside sd-vae-ft-mse "
            "and whisper; `lipstream models pull musetalk` lays them out so."
        )
    return MuseTalkConfig(given[0].parent.parent, version, device)
