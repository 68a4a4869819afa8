"""What a session gives out, counts and is limited by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lipstream.media.image import Picture


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One frame and its 40 ms of sound; neither is ever sent without the other."""

    index: int  # position on the session's timeline: video pts index * 3600, audio index * 1920
    frame: Picture  # as the renderer gives it, of the avatar's size; nobody writes to it
    samples: NDArray[np.int16]  # (1920,) mono 48 kHz; nobody writes to it
    speaking: bool  # it carries samples of an utterance that goes on
    fresh: bool  # False: the picture of the unit before again, the same object


EventKind: TypeAlias = Literal["started", "ended", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """Something that happened to an utterance."""

    kind: EventKind
    utterance: int  # counted from 1; 0 where it concerns none
    played_ms: int  # of the utterance, so far


EventListener: TypeAlias = Callable[[SessionEvent], None]


@dataclass(slots=True)
class SessionCounts:
    """What a session has done and what went wrong; only ever grows."""

    units: int = 0
    late: int = 0  # units given out half a unit or more after they were due
    repeated: int = 0  # units that show the picture before again
    dropped: int = 0  # frames never shown, because they were not ready when due
    skipped: int = 0  # units left out after a stall
    underruns: int = 0  # times that speech had to wait in the middle of an utterance
    utterances: int = 0  # that were begun
    interrupts: int = 0  # that interrupted something


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How far a session looks ahead, and how much it holds."""

    buffer_s: float = 60.0  # of speech that waits; more is refused
    lead: int = 2  # frames that are heard before an utterance starts, at least
    max_lead: int = 30  # to which holes and large chunks may raise `lead`
    ahead: int = 6  # units that are planned and drawn before they are due
    heard_ahead: int = 8  # frames of speech that are heard before they are due
    patience: int = 5  # frames in a row that may be late before sound and picture both wait
    catch_up: int = 3  # units by which the clock may be ahead before some are left out
