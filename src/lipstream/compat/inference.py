"""The original offline interface: an avatar and speech in, frames out, frames to a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar
from lipstream.config import MuseTalkConfig
from lipstream.engine import Engine
from lipstream.errors import OptionError
from lipstream.media.audio import AudioChunk
from lipstream.media.mp4_writer import Mp4Writer
from lipstream.offline import render_stream
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.registry import open_backend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.media.image import Floats, Image


class MuseTalkInference:
    """Offline lip-sync of whole utterances.

    `musetalk_config` and `musetalk_model` are the files of one version inside a models folder
    (`models/musetalkV15/musetalk.json` and `unet.pth`); without them the best backend of this
    machine is taken. Raises a `LipstreamError` when they are not what they should be.
    """

    def __init__(
        self,
        musetalk_config: str | Path | None = None,
        musetalk_model: str | Path | None = None,
        device: str | None = None,
        *,
        backend: str = "auto",
    ) -> None:
        musetalk = _muse_config(musetalk_config, musetalk_model, device)
        if musetalk.models is not None and backend == "auto":
            backend = "musetalk"
        self.engine = Engine(open_backend(backend, musetalk=musetalk))

    def preprocess_avatar(self, path: str | Path) -> Avatar:
        """Prepare a picture, a clip or an .avatar file."""
        return self.engine.backend.renderer.prepare(open_avatar(path))

    def generate(
        self, avatar: Avatar, audio: NDArray[Any] | str | Path, sample_rate: int = 16_000
    ) -> list[Image]:
        """All frames of `audio`: PCM of any type, (n,) or (n, channels), or a file.

        n samples give exactly floor(25 n / sample_rate) frames, (height, width, 3) uint8 RGB each,
        at least one. `sample_rate` is of PCM; a file tells its own.
        """
        if isinstance(audio, (str, Path)):
            from lipstream.media.audio_reader import open_audio

            with open_audio(audio) as sound:
                return self._frames(avatar, sound)
        return self._frames(avatar, [AudioChunk(audio, sample_rate)])

    def save_video(
        self,
        frames: Sequence[Image],
        path: str | Path,
        fps: float | Fraction = 25,
        audio: NDArray[Any] | None = None,
        sample_rate: int | None = None,
    ) -> Path:
        """Write `frames` as an mp4, with `audio` (PCM) when it is given."""
        if not frames:
            raise OptionError("there are no frames to save; generate some from audio first.")
        if audio is not None and sample_rate is None:
            raise OptionError("sample_rate must be given together with audio.")
        sound = None
        if audio is not None and sample_rate is not None:
            sound = AudioChunk(audio, sample_rate)
        height, width = frames[0].shape[:2]
        rate = Fraction(fps).limit_denominator(1_000_000)
        tracks = None if sound is None else (sound.sample_rate, sound.channels)
        with Mp4Writer(Path(path), (width, height), rate, tracks) as movie:
            for frame in frames:
                movie.write_frame(frame)
            if sound is not None:
                movie.write_audio(sound)
        return Path(path)

    def _frames(self, avatar: Avatar, chunks: Iterable[AudioChunk]) -> list[Image]:
        return [frame.frame for frame in render_stream(self.engine, avatar, chunks)]


class BatchLipSyncProcessor:
    """Frames of features that were computed beforehand, several at a time.

    `engine` is an `Engine` or anything that has one (`MuseTalkInference`,
    `RealtimeLipSyncEngine`). A frame does not depend on those it shares a batch with.
    """

    def __init__(self, engine: Any, batch_size: int = 4) -> None:
        if batch_size < 1:
            raise OptionError(f"batch_size must be at least 1, not {batch_size}.")
        self.engine: Engine = engine if isinstance(engine, Engine) else engine.engine
        self.batch_size = batch_size

    def process_batch(
        self, avatar: Avatar, audio_features: Floats | Sequence[Floats], first_frame: int = 0
    ) -> list[Image]:
        """One frame per row of `audio_features`, (frames, ...) as the backend's encoder makes."""
        requests = [
            FrameRequest(avatar, first_frame + index, np.asarray(row, np.float32))
            for index, row in enumerate(audio_features)
        ]
        renderer = self.engine.backend.renderer
        batches = range(0, len(requests), self.batch_size)
        return [
            picture
            for start in batches
            for picture in renderer.render(requests[start : start + self.batch_size])
        ]


def _muse_config(
    config: str | Path | None, model: str | Path | None, device: str | None
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
    return MuseTalkConfig(models=given[0].parent.parent, version=version, device=device)
