"""What every network that hears speech for MuseTalk offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lipstream.media.image import Floats


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
        """Pieces of at most 30 s, 16 kHz float32 in -1..1 -> one (steps, layers, width) each.

        A piece of n samples gives floor(n / 320) steps. Each piece is heard alone; they are only
        computed together.
        """
        ...
