"""The protocol of speech encoders, and the plan by which they cut a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, TypeAlias, runtime_checkable

from lipstream.media.image import Floats

# Made by `EncoderState.advance` for the `encode` of the same encoder; opaque to all others.
Context: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Plan:
    """The cut of a stream into segments: by frame index, never by arrival.

    Example: `Plan(past=80_000, step=2, future=1280)` at 25 fps. The segment of frames 10 and 11
    begins at sample 6400 and ends at 7680; its encoder sees the samples from 0 (80,000 before its
    first frame, as far as there are any) to 8960, and so it is cut as soon as 8960 have arrived.
    """

    past: int  # samples at 16 kHz that a segment sees before its first frame
    step: int  # frames in a segment
    future: int  # samples at 16 kHz that a segment sees after its last frame: the look-ahead


class EncoderState(Protocol):
    """All the state that one stream of speech needs."""

    def advance(self, samples: Floats, frames: range, end: int | None = None) -> Context:
        """Take the next samples of the stream and return the context of `frames`, in frame order.

        `samples` (16 kHz mono, float32 in -1..1) continue where the last call ended and reach to
        the end of the last frame plus `Plan.future`. `end` is where the stream ends, once that is
        known: all samples beyond it are padding.
        """

    def fork(self) -> EncoderState:
        """A copy that advances on its own from here."""


class SpeechEncoder(Protocol):
    """Speech -> one conditioning per frame. Shared by all streams, holds no state of any.

    state = encoder.open(fps)                              # one per stream
    context = state.advance(samples, range(0, 2))          # cheap, in order
    (conditionings,) = encoder.encode([context])           # neural work, in any batch
    """

    plan: Plan

    def open(self, fps: Fraction) -> EncoderState:
        """The state of a new stream of `fps` frames per second."""

    def encode(self, contexts: Sequence[Context]) -> list[Floats]:
        """Contexts of some segments -> their conditionings, (frames, ...) each."""


@runtime_checkable
class ArticulatingEncoder(SpeechEncoder, Protocol):
    """An encoder that knows the shape of the mouth before it is drawn."""

    def opens(self, context: Context) -> bool:
        """Tell whether the mouth visibly opens within a segment."""
