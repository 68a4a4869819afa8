"""The values that a session gives out, and its limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lipstream.errors import LipstreamError
from lipstream.media.captions import Caption
from lipstream.media.image import Picture


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One frame and its 40 ms of sound; neither is ever sent without the other."""

    index: int  # position on the session's timeline: video pts index * 3600, audio index * 1920
    frame: Picture = field(repr=False)  # as the renderer gives it, of the avatar's size; read-only
    samples: NDArray[np.int16] = field(repr=False)  # (1920,) mono 48 kHz; read-only
    speaking: bool  # it carries samples of an utterance
    fresh: bool  # False: the picture of the unit before again, the same object


UtteranceState: TypeAlias = Literal["queued", "speaking", "ended", "cancelled", "failed"]
EventKind: TypeAlias = Literal[
    "started", "caption", "ended", "interrupted", "failed", "render_failed"
]


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """A change of an utterance.

    Each has at most one "started" and exactly one of "ended", "interrupted" (it was cancelled) and
    "failed" (it cannot be encoded, or the rest of it did not come). "caption" comes between them,
    with the unit that holds the first sample of the caption. "render_failed" ends nothing: the
    sound goes on with the pictures there are. It comes at most once for an utterance, and once for
    a time of idling.
    """

    kind: EventKind
    utterance: int  # its id; 0 where an idle picture could not be drawn
    played_ms: int  # of the utterance, so far; of a caption, before its unit
    caption: Caption | None = None  # of "caption"
    sample_rate: int = 0  # in which the times of `caption` count, Hz: that of the utterance
    error: LipstreamError | None = None  # of "failed", where its owner said why


EventListener: TypeAlias = Callable[[SessionEvent], None]


@dataclass(slots=True)
class SessionCounts:
    """Counters of a session; they only grow."""

    units: int = 0
    late: int = 0  # units given out half a unit or more after they were due
    repeated: int = 0  # units that show the picture before again
    dropped: int = 0  # frames never shown, because they were not ready when due
    skipped: int = 0  # units left out after a stall
    underruns: int = 0  # times that speech had to wait in the middle of an utterance
    utterances: int = 0  # that were opened
    interrupts: int = 0  # that interrupted something


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """The reach of a session's plans, and the bounds of what it holds."""

    # Seconds of speech that the utterance that plays may have waiting, and as many again for all
    # those behind it together. More is refused.
    buffer_s: float = 60.0
    utterances: int = 32  # that are not finished; `open_utterance` refuses more
    texts: int = 4  # of `say` that wait to be heard; it refuses more
    captions: int = 2500  # of one utterance that wait: one-letter words of a text of 5000
    lead: int = 2  # frames that are encoded before an utterance starts, at least
    max_lead: int = 30  # to which holes and large chunks may raise `lead`
    ahead: int = 6  # units that are planned and drawn before they are due
    encoded_ahead: int = 8  # frames of speech that are encoded before they are due
    patience: int = 5  # frames in a row that may be late before sound and picture both wait
    catch_up: int = 3  # units by which the clock may be ahead before some are left out
