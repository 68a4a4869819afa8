"""Live sessions: utterances in as they come, units of picture and sound out as they are due."""

from __future__ import annotations

from lipstream.live.session.session import Session
from lipstream.live.session.types import (
    EventListener,
    SessionCounts,
    SessionEvent,
    SessionLimits,
    Unit,
    UtteranceState,
)
from lipstream.live.session.utterance import Utterance

__all__ = [
    "EventListener",
    "Session",
    "SessionCounts",
    "SessionEvent",
    "SessionLimits",
    "Unit",
    "Utterance",
    "UtteranceState",
]
