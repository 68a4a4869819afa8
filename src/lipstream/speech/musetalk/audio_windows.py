"""The encoder of networks that read windows of sound; its state is the samples still needed.

`WHOLE_PIECES` encodes what the published offline code encodes: pieces of 30 s from the start of the
clip, each alone. For live speech `aligned` encodes the same pieces as far as they have come: a
network with positions meets each step at the same one, and only the sound to come is missing. For a
network without, `recent` encodes a few seconds before each segment. Frames differ slightly from the
offline ones, but never with the arrival of the sound.

Example: frame 749 at 25 fps begins at 29.96 s, in feature step 1498, and takes steps 1494 to 1503.
`WHOLE_PIECES` encodes 0 to 30 s for the first six of them and 30 to 60 s for the last four,
`aligned()` 0 to 30 s and 30 to 30.08 s. `recent()` encodes once, from 5 s before step 1494
(24.88 s) to the end of step 1503 (30.08 s).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from lipstream.media.image import Floats
from lipstream.speech.base import Plan
from lipstream.speech.musetalk.backbone import PIECE, SpeechNetwork
from lipstream.speech.musetalk.windowing import STEPS_AFTER, needed_steps, windows
from lipstream.timeline import FEATURE_STEP, FPS, SAMPLE_RATE, frame_start

_WINDOW_END = STEPS_AFTER * FEATURE_STEP  # a frame's window ends so far after the frame begins

# Offline: half a minute of frames at a time, and all of the next piece.
WHOLE_PIECES = Plan(past=PIECE + _WINDOW_END, step=750, future=PIECE + _WINDOW_END)


def recent(fps: Fraction = FPS, seconds: int = 5, step: int = 2) -> Plan:
    """Live: `seconds` of past, `step` frames at a time, no more future than their windows need."""
    future = max(_WINDOW_END - frame_start(1, fps), 0)
    return Plan(past=seconds * SAMPLE_RATE, step=step, future=future)


def aligned(fps: Fraction = FPS, piece: int = PIECE, step: int = 2) -> Plan:
    """Live: what has come of each piece of `piece` samples, `step` frames at a time."""
    return replace(recent(fps, step=step), past=piece + _WINDOW_END)


@dataclass(frozen=True, slots=True, eq=False)
class AudioWindow:
    """A stretch of a stream's sound around some frames."""

    samples: Floats  # (n,) 16 kHz; other windows read them, too
    start: int  # position of the first sample in the stream, a multiple of a feature step
    end: int | None  # where the stream ends, once that is known: samples beyond are padding
    frames: range
    fps: Fraction


class AudioWindowState:
    """An `EncoderState`: the samples from `Plan.past` before the steps of the last segment on."""

    def __init__(self, plan: Plan, fps: Fraction) -> None:
        self._plan = plan
        self._fps = fps
        self._samples = np.zeros(0, np.float32)
        self._start = 0  # position of the first sample kept

    def advance(self, samples: Floats, frames: range, end: int | None = None) -> AudioWindow:
        """Take the next samples; return all that matters for `frames`."""
        first = needed_steps(frames, self._fps).start * FEATURE_STEP - self._plan.past
        start = max(first // FEATURE_STEP * FEATURE_STEP, self._start)
        self._samples = np.concatenate([self._samples, samples])[start - self._start :]
        self._start = start
        return AudioWindow(self._samples, start, end, frames, self._fps)

    def fork(self) -> AudioWindowState:
        """A copy that advances on its own from here."""
        return copy.copy(self)  # the samples are replaced, never written to


class AudioWindowEncoder:
    """Speech through a feature network: audio windows in, (frames, tokens, width) out."""

    def __init__(
        self, network: SpeechNetwork, plan: Plan = WHOLE_PIECES, piece: int | None = PIECE
    ) -> None:
        """`piece` None: each segment is encoded from `plan.past` before it on."""
        self.network = network
        self.plan = plan
        self._piece = piece

    @classmethod
    def live(cls, network: SpeechNetwork, fps: Fraction = FPS) -> AudioWindowEncoder:
        """The encoder of live speech: `aligned` for a network with positions, else `recent`."""
        plan = recent(fps) if network.piece is None else aligned(fps, network.piece)
        return cls(network, plan, network.piece)

    def open(self, fps: Fraction) -> AudioWindowState:
        return AudioWindowState(self.plan, fps)

    def encode(self, contexts: Sequence[AudioWindow]) -> list[Floats]:
        """One (frames, 10 * layers, width) float32 per window; all pieces in one batch."""
        pieces = [list(self._pieces(window)) for window in contexts]
        sounds = [sound for some in pieces for _, sound in some]
        last = None  # steps; live most of a piece is only there to be heard with them
        if self.plan != WHOLE_PIECES:
            last = max((len(needed_steps(w.frames, w.fps)) for w in contexts), default=None)
        features = iter(self.network.features(sounds, last))
        result = []
        for window, some in zip(contexts, pieces, strict=True):
            parts = [np.zeros((0, self.network.layers, self.network.width), np.float32)]
            parts += [next(features) for _ in some]
            first = 0
            if some:  # step of the first that is kept
                first, sound = some[0]
                first += len(sound) // FEATURE_STEP - len(parts[1])
            result.append(windows(np.concatenate(parts), first, window.frames, window.fps))
        return result

    def _pieces(self, window: AudioWindow) -> Iterator[tuple[int, Floats]]:
        """(first step, samples) of each piece that the network encodes for one window."""
        stop = window.start + len(window.samples)
        if window.end is not None:
            stop = min(stop, window.end)
        needed = needed_steps(window.frames, window.fps)
        if self.plan != WHOLE_PIECES:
            stop = min(stop, needed.stop * FEATURE_STEP)
        bounds, piece = [(window.start, stop)], self._piece
        if piece is not None:
            steps = piece // FEATURE_STEP
            numbers = range(max(needed.start, 0) // steps, -(-needed.stop // steps))
            bounds = [(number * piece, min((number + 1) * piece, stop)) for number in numbers]
        for first, last in bounds:
            if last - first >= FEATURE_STEP:
                sound = window.samples[first - window.start : last - window.start]
                yield first // FEATURE_STEP, sound
