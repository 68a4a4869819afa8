"""The picture of each unit: its own, or the last one again."""

from __future__ import annotations

from collections.abc import Callable

from lipstream.avatar.avatar import Avatar
from lipstream.live.session.frame_plan import PlannedUnit
from lipstream.live.session.types import EventKind, SessionCounts
from lipstream.live.session.utterance_buffer import UtteranceBuffer
from lipstream.media.image import Picture


class PictureTrack:
    """Repeats the last picture where a unit has none of its own.

    `emit` gets "render_failed", an id and played ms when a frame could not be drawn: once for an
    utterance, and with zeros once for a time of idling.
    """

    def __init__(
        self, avatar: Avatar, counts: SessionCounts, emit: Callable[[EventKind, int, int], None]
    ) -> None:
        self.missed = 0  # units in a row without a picture of their own
        self._avatar, self._counts, self._emit = avatar, counts, emit
        self._last: Picture | None = None
        self._idle_failed = False  # which was reported

    def show(self, unit: PlannedUnit | None, index: int) -> tuple[Picture, bool]:
        """The picture for `unit` at `index`, and True when it is its own."""
        if unit is not None and unit.picture is not None:
            self.missed, self._idle_failed = 0, False
            self._last = unit.picture
            return unit.picture, True
        self._counts.repeated += 1
        self.missed += 1
        if unit is not None:
            unit.cancelled = True
            self._counts.dropped += 1
            if unit.error is not None:
                self._report_failure(unit.utterance)
        if self._last is None:
            self._last = self._avatar.at(index).pixels
        return self._last, False

    def _report_failure(self, utterance: UtteranceBuffer | None) -> None:
        if utterance is None:
            if not self._idle_failed:
                self._idle_failed = True
                self._emit("render_failed", 0, 0)
        elif not (utterance.render_failed or utterance.finished):
            utterance.render_failed = True
            self._emit("render_failed", utterance.id, utterance.played_ms)
