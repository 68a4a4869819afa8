"""The encoder of networks that read windows of sound; its state is the samples still needed.

`WHOLE_PIECES` encodes what the published offline code encodes: pieces of 30 s from the start of the
clip, each alone. Live speech is encoded as far as it has come, and what a network with positions
hears keeps the positions that it has offline: the frames differ from the offline ones by what was
not heard, never by the arrival of the sound. Of its past, a live encoder hears

* all of the piece, with silence up to the piece's end, as the network was trained; or
* a `context` of some seconds with 100 ms of silence behind it: features as near to the offline ones
  for an eighth of the work (5 s, `benchmarks/cpu/excerpts.py`).

Example: frame 749 at 25 fps begins at 29.96 s, in feature step 1498, and takes steps 1494 to 1503,
the last of which ends at 30.08 s. `WHOLE_PIECES` encodes 0 to 30 s for the first six of them and 30
to 60 s for the last four; a live encoder 0 to 30 s and 30 to 30.08 s; one with 5 s of context 24.88
to 30 s, at the positions from 1244 on, and 30 to 30.08 s. A network without positions encodes 24.88
to 30.08 s at once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lipstream.media.image import Floats
from lipstream.speech.base import Plan
from lipstream.speech.musetalk.backbone import PIECE, Excerpt, SpeechNetwork
from lipstream.speech.musetalk.windowing import STEPS_AFTER, needed_steps, windows
from lipstream.timeline import FEATURE_STEP, FPS, SAMPLE_RATE, frame_start

_WINDOW_END = STEPS_AFTER * FEATURE_STEP  # a frame's window ends so far after the frame begins
LIVE_STEP = 2  # frames in a live segment
CONTEXT = 5 * SAMPLE_RATE  # samples of past that a network without positions hears, unless told
# Steps behind an excerpt that does not fill its piece: with none the network takes the end of the
# sound for a border of its own, and with more it hears a longer pause.
SILENCE = 5

# Offline: half a minute of frames at a time, and all of the next piece.
WHOLE_PIECES = Plan(past=PIECE + _WINDOW_END, step=750, future=PIECE + _WINDOW_END)


def live_plan(past: int, fps: Fraction = FPS, look_ahead: int = 0) -> Plan:
    """Two frames at a time, with `past` before them and the future of their windows.

    `look_ahead` is waited for beyond that. Both are in samples.
    """
    future = max(_WINDOW_END - frame_start(1, fps), 0) + look_ahead
    return Plan(past, LIVE_STEP, future)


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
        self,
        network: SpeechNetwork,
        plan: Plan = WHOLE_PIECES,
        piece: int | None = PIECE,
        *,
        silence: int | None = None,
    ) -> None:
        """`piece` None: each segment is encoded from `plan.past` before it on.

        `silence` None: a piece is encoded from its start, and silence fills it; else from
        `plan.past` before a segment on, with so many steps of silence behind what has come.
        """
        self.network = network
        self.plan = plan
        self._piece = piece
        self._silence = silence

    @classmethod
    def live(
        cls,
        network: SpeechNetwork,
        fps: Fraction = FPS,
        *,
        context: int | None = None,
        look_ahead: int = 0,
    ) -> AudioWindowEncoder:
        """The encoder of live speech.

        `context` samples of past are heard, None for all of a network's piece; `look_ahead` are
        samples that it waits for beyond the windows of a segment.
        """
        piece = network.piece
        if piece is None:
            return cls(network, live_plan(context or CONTEXT, fps, look_ahead), None)
        if context is None or context >= piece:
            return cls(network, live_plan(piece + _WINDOW_END, fps, look_ahead), piece)
        return cls(network, live_plan(context, fps, look_ahead), piece, silence=SILENCE)

    def open(self, fps: Fraction) -> AudioWindowState:
        return AudioWindowState(self.plan, fps)

    def encode(self, contexts: Sequence[AudioWindow]) -> list[Floats]:
        """One (frames, 10 * layers, width) float32 per window; all excerpts in one batch."""
        excerpts = [list(self._excerpts(window)) for window in contexts]
        # Most of what is heard is only there to be heard with the steps that are needed.
        last = [
            self._reach(w) // FEATURE_STEP - needed_steps(w.frames, w.fps).start for w in contexts
        ]
        heard = [excerpt for some in excerpts for _, excerpt in some]
        features = iter(self.network.features(heard, max(last, default=1)))
        result = []
        for window, some in zip(contexts, excerpts, strict=True):
            parts = [np.zeros((0, self.network.layers, self.network.width), np.float32)]
            parts += [next(features) for _ in some]
            first = 0
            if some:  # step of the first that is kept
                first, excerpt = some[0]
                first += len(excerpt.samples) // FEATURE_STEP - len(parts[1])
            result.append(windows(np.concatenate(parts), first, window.frames, window.fps))
        return result

    def _reach(self, window: AudioWindow) -> int:
        """The end in the stream of the sound that `window` may be heard with."""
        stop = frame_start(window.frames.stop, window.fps) + self.plan.future
        return stop if window.end is None else min(stop, window.end)

    def _excerpts(self, window: AudioWindow) -> Iterator[tuple[int, Excerpt]]:
        """(first step, excerpt) of each that the network encodes for one window."""
        stop = min(window.start + len(window.samples), self._reach(window))
        for piece, end in self._pieces(window):
            first = piece if self._silence is None else max(piece, window.start)
            last = min(end, stop)
            if last - first >= FEATURE_STEP:
                sound = window.samples[first - window.start : last - window.start]
                step = (first - piece) // FEATURE_STEP
                yield first // FEATURE_STEP, Excerpt(sound, step, self._silence)

    def _pieces(self, window: AudioWindow) -> Iterator[tuple[int, int]]:
        """(first sample, end) of each piece that the frames of a window take steps of."""
        if self._piece is None:
            yield window.start, window.start + len(window.samples)
            return
        needed, steps = needed_steps(window.frames, window.fps), self._piece // FEATURE_STEP
        for number in range(max(needed.start, 0) // steps, -(-needed.stop // steps)):
            yield number * self._piece, (number + 1) * self._piece
