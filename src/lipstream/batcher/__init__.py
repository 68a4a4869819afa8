"""One thread that hears and draws for all live sessions of a backend."""

from __future__ import annotations

from lipstream.batcher.batcher import Batcher, BatcherCounts, DrawnBatch
from lipstream.batcher.hearing import Heard, Hearing
from lipstream.batcher.lane import Drawing, Lane, Listening

__all__ = [
    "Batcher",
    "BatcherCounts",
    "Drawing",
    "DrawnBatch",
    "Heard",
    "Hearing",
    "Lane",
    "Listening",
]
