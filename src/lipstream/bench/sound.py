"""Speech to measure with, and an ear that leaves the listener's sound as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lipstream.live.scheduler import RenderedBatch, Scheduler, SessionQueue, UtteranceEncoder
from lipstream.live.scheduler.utterance_encoder import pcm16
from lipstream.media.audio import AudioChunk
from lipstream.stream import LipSyncStream, Segment
from lipstream.timeline import SAMPLE_RATE, SOUND_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.avatar.avatar import Avatar
    from lipstream.bench.answers import Spell
    from lipstream.engine import Engine
    from lipstream.live.clock import Clock
    from lipstream.media.image import Floats


class PlainEncoder(UtteranceEncoder):
    """Gives 48 kHz to the listener by repeating samples: nobody listens, and soxr may be missing.

    Speech must come at 16 kHz.
    """

    def __init__(self, stream: LipSyncStream) -> None:
        # Not the parent's: it would ask for a resampler.
        self._stream = stream

    def encode(self, samples: Floats, last: bool) -> tuple[NDArray[np.int16], list[Segment]]:
        """See `UtteranceEncoder.encode`."""
        segments: list[Segment] = []
        if len(samples):
            segments = self._stream.push(AudioChunk(samples[:, np.newaxis], SAMPLE_RATE))
        if last:
            segments += self._stream.end()
        return pcm16(samples).repeat(SOUND_RATE // SAMPLE_RATE), segments


class ObservedScheduler(Scheduler):
    """A scheduler whose utterances are heard plainly, and which notes when frames were drawn."""

    def __init__(self, engine: Engine, *, clock: Clock | None = None) -> None:
        super().__init__(engine, clock=clock, watch=self._note)
        # By lane, in the order in which they were opened: frames by their index.
        self.drawn: dict[SessionQueue, dict[int, Spell]] = {}

    def open(self) -> SessionQueue:
        """See `Scheduler.open`."""
        lane = super().open()
        self.drawn[lane] = {}
        return lane

    def _note(self, batch: RenderedBatch) -> None:
        for lane, drawing in batch.frames:
            if drawing.picture is not None:
                self.drawn[lane][drawing.request.index] = (batch.began_ms, batch.done_ms)

    def open_encoder(self, avatar: Avatar, sample_rate: int) -> UtteranceEncoder:
        """See `Scheduler.open_encoder`; only 16 kHz."""
        assert sample_rate == SAMPLE_RATE, sample_rate
        return PlainEncoder(self.engine.open_stream(avatar))


def speech(seconds: float, seed: int = 0) -> Floats:
    """(n,) float32 at 16 kHz: syllables of a gliding voice, with pauses; not a word in it."""
    drawn = np.random.default_rng(seed)
    count = round(seconds * SAMPLE_RATE)
    at = np.arange(count) / SAMPLE_RATE
    pitch = 120 * 2 ** (0.4 * np.sin(2 * np.pi * 0.7 * at + drawn.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    formants = np.array([500, 1500, 2500]) * drawn.uniform(0.8, 1.2, 3)
    voice = np.zeros(count)
    for harmonic in range(1, 30):
        near = np.exp(-(((120 * harmonic - formants) / 250) ** 2)).sum() + 0.05
        voice += near / harmonic**0.5 * np.sin(harmonic * phase)
    syllables = np.clip(np.sin(2 * np.pi * 4.2 * at + drawn.uniform(0, 6)) + 0.4, 0, None)
    phrases = np.clip(4 * np.sin(2 * np.pi * 0.3 * at) + 3, 0, 1)
    sound = voice * syllables * phrases + 0.01 * drawn.standard_normal(count)
    return np.asarray(0.3 * sound / np.abs(sound).max(), np.float32)
