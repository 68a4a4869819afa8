"""What every speech encoder offers to the stream and to the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from lipstream.media.image import Floats


# What an ear returns and its own encoder's `encode` takes; nobody else looks inside.
Context: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Plan:
    """How a stream is cut into segments. Cuts depend on the frame index, never on arrival."""

    past: int  # samples at 16 kHz that a segment sees before its first frame
    step: int  # frames in a segment
    future: int  # samples at 16 kHz that a segment sees after its last frame: the look-ahead


class EncoderState(Protocol):
    """All the state that speech leaves behind in one stream."""

    def hear(self, samples: Floats, frames: range, end: int | None = None) -> Context:
        """Take the next samples of the stream and return the context of `frames`.

        `samples` (16 kHz mono, float32 in -1..1) continue where the last call ended and reach to
        the end of the last frame plus `Plan.future`. Calls come in frame order. `end` is where
        the stream ends, once that is known: all samples beyond it are padding.
        """
        ...

    def fork(self) -> EncoderState:
        """An ear that has heard the same and from now on goes its own way."""
        ...


class SpeechEncoder(Protocol):
    """Speech -> one conditioning per frame. Shared by all streams, holds no state of any."""

    plan: Plan

    def open(self, fps: Fraction) -> EncoderState:
        """A fresh ear for one stream of `fps` frames per second."""
        ...

    def encode(self, contexts: Sequence[Context]) -> list[Floats]:
        """Contexts of some segments -> their conditionings, (frames, ...) each."""
        ...
