"""The protocol of the networks that MuseTalk's speech features come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from lipstream.timeline import SAMPLE_RATE

if TYPE_CHECKING:
    from lipstream.media.image import Floats

PIECE = 30 * SAMPLE_RATE  # samples that a network encodes at once, at most


class SpeechNetwork(Protocol):
    """Sound -> features, 50 a second. Shared by all streams, holds no state of any."""

    @property
    def layers(self) -> int:
        """Vectors per step."""
        ...

    @property
    def width(self) -> int:
        """Numbers per vector: what the UNet's cross attention takes."""
        ...

    def features(self, samples: Sequence[Floats]) -> list[Floats]:
        """Pieces of at most `PIECE`, 16 kHz float32 in -1..1 -> one (steps, layers, width) each.

        A piece of n samples gives floor(n / 320) steps. Each piece is encoded alone; they are only
        computed together.
        """
        ...
