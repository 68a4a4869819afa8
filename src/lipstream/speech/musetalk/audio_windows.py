"""The ear of encoders that hear pieces of sound: it keeps the samples a segment needs.

Two ways to cut. `WHOLE_PIECES` hears what the published offline code hears: pieces of 30 s from the
start of the clip, each encoded alone. `recent` hears a few seconds before each segment, for live
speech; its frames differ slightly from the other's, but never with the arrival of the sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from lipstream.speech.base import Plan
from lipstream.speech.musetalk.backbone import SpeechNetwork
from lipstream.speech.musetalk.windowing import STEPS_AFTER, needed_steps, windows
from lipstream.timeline import FEATURE_STEP, FPS, SAMPLE_RATE, frame_start

if TYPE_CHECKING:
    from lipstream.media.image import Floats

PIECE = 30 * SAMPLE_RATE  # samples that Whisper hears at once
PIECE_STEPS = PIECE // FEATURE_STEP
_WINDOW_END = STEPS_AFTER * FEATURE_STEP  # a frame's window ends so far after the frame begins

# Offline: half a minute of frames at a time, and all of the next piece.
WHOLE_PIECES = Plan(past=PIECE + _WINDOW_END, step=750, future=PIECE + _WINDOW_END)


def recent(fps: Fraction = FPS, seconds: int = 5, step: int = 2) -> Plan:
    """Live: `seconds` of past, `step` frames at a time, no more future than their windows need."""
    future = max(_WINDOW_END - frame_start(1, fps), 0)
    return Plan(past=seconds * SAMPLE_RATE, step=step, future=future)


@dataclass(frozen=True, slots=True, eq=False)
class Excerpt:
    """A stretch of a stream's sound around some frames."""

    samples: Floats  # (n,) 16 kHz
    start: int  # position of the first sample in the stream, a multiple of a feature step
    end: int | None  # where the stream ends, once that is known: samples beyond are padding
    frames: range
    fps: Fraction


class ExcerptState:
    """Keeps the samples that coming segments will want to hear again."""

    def __init__(self, plan: Plan, fps: Fraction) -> None:
        self._plan = plan
        self._fps = fps
        self._samples = np.zeros(0, np.float32)
        self._start = 0  # position of the first sample kept

    def hear(self, samples: Floats, frames: range, end: int | None = None) -> Excerpt:
        """Take the next samples; return all that matters for `frames`."""
        self._samples = np.concatenate([self._samples, samples])
        wanted = needed_steps(frames, self._fps).start * FEATURE_STEP
        self._forget(max(wanted - self._plan.past, 0) // FEATURE_STEP * FEATURE_STEP)
        return Excerpt(self._samples.copy(), self._start, end, frames, self._fps)

    def fork(self) -> ExcerptState:
        """An ear that has heard the same and goes its own way."""
        other = ExcerptState(self._plan, self._fps)
        other._samples, other._start = self._samples, self._start
        return other

    def _forget(self, before: int) -> None:
        if before > self._start:
            self._samples = self._samples[before - self._start :]
            self._start = before


class ExcerptEncoder:
    """Speech through a feature network: excerpts in, (frames, tokens, width) out."""

    def __init__(self, network: SpeechNetwork, plan: Plan = WHOLE_PIECES) -> None:
        self.network = network
        self.plan = plan

    def open(self, fps: Fraction) -> ExcerptState:
        """A fresh ear for one stream."""
        return ExcerptState(self.plan, fps)

    def encode(self, contexts: Sequence[Excerpt]) -> list[Floats]:
        """One (frames, 10 * layers, width) float32 per excerpt; all pieces in one batch."""
        pieces = [list(self._pieces(excerpt)) for excerpt in contexts]
        heard = iter(self.network.features([sound for some in pieces for _, sound in some]))
        result = []
        for excerpt, some in zip(contexts, pieces, strict=True):
            features = [next(heard) for _ in some]
            if not features:
                features = [np.zeros((0, self.network.layers, self.network.width), np.float32)]
            first = some[0][0] if some else 0
            joined = np.concatenate(features)
            result.append(windows(joined, first, excerpt.frames, excerpt.fps))
        return result

    def _pieces(self, excerpt: Excerpt) -> Iterator[tuple[int, Floats]]:
        """(first step, samples) of what the network shall hear for one excerpt."""
        stop = excerpt.start + len(excerpt.samples)
        if excerpt.end is not None:
            stop = min(stop, excerpt.end)
        wanted = needed_steps(excerpt.frames, excerpt.fps)
        if self.plan != WHOLE_PIECES:
            first, last = excerpt.start, min(stop, wanted.stop * FEATURE_STEP)
            if last - first >= FEATURE_STEP:
                yield first // FEATURE_STEP, excerpt.samples[: last - first]
            return
        for index in range(max(wanted.start, 0) // PIECE_STEPS, -(-wanted.stop // PIECE_STEPS)):
            begin, finish = index * PIECE, min((index + 1) * PIECE, stop)
            if finish - begin >= FEATURE_STEP:
                sound = excerpt.samples[begin - excerpt.start : finish - excerpt.start]
                yield index * PIECE_STEPS, sound
