"""One thread that encodes speech and has frames drawn for all live sessions of a backend."""

from __future__ import annotations

from lipstream.live.scheduler.dispatch import RenderedBatch
from lipstream.live.scheduler.jobs import EncodeJob, RenderJob
from lipstream.live.scheduler.scheduler import Scheduler, SchedulerCounts
from lipstream.live.scheduler.session_queue import SessionQueue
from lipstream.live.scheduler.utterance_encoder import EncodeResult, UtteranceEncoder

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
