"""One thread that hears and draws for all live sessions of a backend."""

from __future__ import annotations

from lipstream.live.scheduler.jobs import EncodeResult, UtteranceEncoder
from lipstream.live.scheduler.scheduler import RenderedBatch, Scheduler, SchedulerCounts
from lipstream.live.scheduler.session_queue import EncodeJob, RenderJob, SessionQueue

__all__ = [
    "Scheduler",
    "SchedulerCounts",
    "RenderJob",
    "RenderedBatch",
    "EncodeResult",
    "UtteranceEncoder",
    "SessionQueue",
    "EncodeJob",
]
