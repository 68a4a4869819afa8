"""The protocol of the networks that MuseTalk's speech features come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lipstream.media.image import Floats
from lipstream.timeline import SAMPLE_RATE

PIECE = 30 * SAMPLE_RATE  # samples that a network encodes at once, at most


class SpeechNetwork(Protocol):
    """Sound -> features, 50 a second. Shared by all streams, holds no state of any."""

    layers: int  # vectors per step
    width: int  # numbers per vector: what the UNet's cross attention takes

    @property
    def piece(self) -> int | None:
        """Samples of the pieces with which its positions begin anew; None: it has no positions."""

    def features(self, samples: Sequence[Floats], last: int | None = None) -> list[Floats]:
        """Pieces of at most `PIECE`, 16 kHz float32 in -1..1 -> one (steps, layers, width) each.

        A piece of n samples gives floor(n / 320) steps, or the `last` of them only. Each is encoded
        alone, whatever is computed with it.
        """
