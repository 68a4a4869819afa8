"""The learned MuseTalk and the puppet, saying clips through the real path; lips are tracked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.clips import Clip
from benchmarks.cpu.speech_inputs import SpeechInput
from benchmarks.cpu.tracked_render import STILL, MouthTracker, chunks
from lipstream.avatar.avatar import Avatar
from lipstream.avatar.face.finder import FaceFinder
from lipstream.config import MuseTalkConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.offline import render_stream
from lipstream.rendering.registry import Backend, open_backend
from lipstream.score.curves import Curve
from lipstream.speech.base import EncoderState, SpeechEncoder

if TYPE_CHECKING:
    from fractions import Fraction

    from lipstream.media.image import Floats, Image


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """The frames in which an avatar says something."""

    openings: Curve  # (frames,) gap between the lips, eye distances
    frames: list[Image]


class ShuffledTokens:
    """A speech encoder whose frames get each other's tokens: all of the sound, in no order."""

    def __init__(self, encoder: SpeechEncoder) -> None:
        self._encoder, self.plan = encoder, encoder.plan

    def open(self, fps: Fraction) -> EncoderState:
        return self._encoder.open(fps)

    def encode(self, contexts: Sequence[object]) -> list[Floats]:
        dice = np.random.default_rng(1)
        return [dice.permutation(tokens) for tokens in self._encoder.encode(contexts)]


class Speaker:
    """One checkpoint, opened for files and for live speech, and the puppet."""

    def __init__(self, models: Path) -> None:
        config = MuseTalkConfig(models=models, device="cpu")
        self._offline = open_backend("musetalk", musetalk=config)
        self._live = open_backend("musetalk", musetalk=config, runtime=RuntimeOptions(live=True))
        self._puppet = open_backend("puppet", motion=STILL)
        self._finder = FaceFinder()

    def says(
        self,
        avatar: Avatar,
        clip: Clip,
        *,
        live: bool = False,
        late: float = 0.0,
        sound: Clip | None = None,
        shuffled: bool = False,
    ) -> Spoken:
        """The avatar says `clip` by the networks; `late` seconds, or the words of `sound`."""
        said, backend = sound or clip, self._live if live else self._offline
        silence = np.zeros(round(late * said.sample_rate), np.float32)
        count = round(clip.seconds * said.sample_rate)
        samples = np.resize(np.concatenate([silence, said.samples]), count)
        encoder: SpeechEncoder = backend.encoder
        if shuffled:
            encoder = ShuffledTokens(encoder)
        spoken = SpeechInput(samples, said.sample_rate, encoder)
        return self._tracked(avatar, self._render(backend, avatar, spoken))

    def puppet_says(self, avatar: Avatar, clip: Clip) -> Spoken:
        """The same by the puppet, its head held still."""
        spoken = SpeechInput(clip.samples, clip.sample_rate, self._puppet.encoder)
        return self._tracked(avatar, self._render(self._puppet, avatar, spoken))

    def _render(self, backend: Backend, avatar: Avatar, spoken: SpeechInput) -> list[Image]:
        whole = Backend(
            backend.name, spoken.encoder, backend.renderer, backend.fps, backend.batch, "benchmark"
        )
        pictures = render_stream(Engine(whole), avatar, chunks(spoken))
        return [picture.frame for picture in pictures]

    def _tracked(self, avatar: Avatar, frames: list[Image]) -> Spoken:
        tracker = MouthTracker(self._finder, avatar.frames[0].pixels)
        for frame in frames:
            tracker.measure(frame)
        return Spoken(np.array(tracker.openings), frames)
