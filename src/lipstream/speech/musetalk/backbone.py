"""The protocol of the networks that MuseTalk's speech features come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lipstream.media.image import Floats
from lipstream.timeline import SAMPLE_RATE

PIECE = 30 * SAMPLE_RATE  # samples that a network encodes at once, at most


@dataclass(frozen=True, slots=True, eq=False)
class Excerpt:
    """Some sound to encode, alone, and its place among the positions of a network.

    Example: the last 5 s of what has come of a piece after 12 s of it, `Excerpt(samples, 350, 5)`,
    are encoded with the positions 350 to 604: 250 steps of sound and 5 of silence.
    """

    samples: Floats  # (n,) 16 kHz float32 in -1..1, of one piece
    step: int = 0  # of the piece, with which it begins; networks without positions ignore it
    # Steps that are heard after it; None: so many that they fill the piece. Networks without
    # positions hear none.
    silence: int | None = None


class SpeechNetwork(Protocol):
    """Sound -> features, 50 a second. Shared by all streams, holds no state of any."""

    layers: int  # vectors per step
    width: int  # numbers per vector: what the UNet's cross attention takes

    @property
    def piece(self) -> int | None:
        """Samples of the pieces with which its positions begin anew; None: it has no positions."""

    def features(self, excerpts: Sequence[Excerpt], last: int | None = None) -> list[Floats]:
        """Excerpts of at most `PIECE` -> one (steps, layers, width) each.

        n samples give floor(n / 320) steps, or the `last` of them only. Each excerpt is encoded
        alone, whatever is computed with it.
        """
