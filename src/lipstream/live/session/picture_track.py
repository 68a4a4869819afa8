"""The picture of each unit: its own, or the last one again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lipstream.avatar.avatar import Avatar
from lipstream.live.session.frame_plan import PlannedUnit
from lipstream.live.session.types import SessionCounts
from lipstream.live.session.utterance_buffer import UtteranceBuffer

if TYPE_CHECKING:
    from lipstream.media.image import Picture


class PictureTrack:
    """Repeats the last picture where a unit has none of its own.

    `report` is called when a frame could not be drawn: once for its utterance, or with None once
    for a time of idling.
    """

    def __init__(
        self,
        avatar: Avatar,
        counts: SessionCounts,
        report: Callable[[UtteranceBuffer | None], None],
    ) -> None:
        self.missed = 0  # units in a row without a picture of their own
        self._avatar = avatar
        self._counts = counts
        self._report = report
        self._last: Picture | None = None
        self._idle_failed = False  # which was reported

    def show(self, unit: PlannedUnit | None, index: int) -> tuple[Picture, bool]:
        """The picture for `unit` at `index`, and True when it is its own."""
        if unit is None or unit.picture is None:
            return self._repeat(unit, index), False
        if self.missed:
            self.missed, self._idle_failed = 0, False
        self._last = unit.picture
        return unit.picture, True

    def _repeat(self, unit: PlannedUnit | None, index: int) -> Picture:
        self._counts.repeated += 1
        self.missed += 1
        if unit is not None:
            unit.cancelled = True
            self._counts.dropped += 1
            if unit.error is not None:
                self._report_failure(unit.utterance)
        if self._last is None:
            self._last = self._avatar.at(index).pixels
        return self._last

    def _report_failure(self, utterance: UtteranceBuffer | None) -> None:
        if utterance is None:
            reported, self._idle_failed = self._idle_failed, True
        else:
            reported, utterance.render_failed = utterance.render_failed, True
        if not reported and not (utterance is not None and utterance.finished):
            self._report(utterance)
