"""One thread that hears and draws for all live sessions of a backend."""

from __future__ import annotations

from lipstream.live.scheduler.jobs import Heard, Hearing
from lipstream.live.scheduler.scheduler import Batcher, BatcherCounts, DrawnBatch
from lipstream.live.scheduler.session_queue import Drawing, Lane, Listening

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
