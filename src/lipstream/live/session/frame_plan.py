"""What the next units will show: rest, speech, or the way from one to the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

from lipstream.avatar.avatar import Avatar
from lipstream.live.scheduler import RenderJob, SessionQueue
from lipstream.live.session.types import SessionLimits
from lipstream.live.session.utterance import Utterance
from lipstream.rendering.base import FrameRequest
from lipstream.timeline import UNIT_MS

if TYPE_CHECKING:
    from lipstream.media.image import Floats

LEVELS = 3  # steps of strength between rest and speech, one frame each
WORTHWHILE = 2  # units by which a start must come sooner for it to be planned again
MIN_RESERVE_MS, MAX_RESERVE_MS = 10, 400  # from planning a beginning to its first unit


class PlannedUnit(RenderJob):
    """One unit that is planned."""

    __slots__ = ("beginning", "conditioning", "spare", "utterance")

    def __init__(self, request: FrameRequest, due: int, utterance: Utterance | None = None) -> None:
        super().__init__(request, due)
        self.utterance = utterance  # whose sound is heard; None for silence
        self.conditioning: Floats | None = None  # a frame of the utterance, not what follows it
        self.beginning = False  # speech starts here, or goes on after a pause
        self.spare: PlannedUnit | None = None  # the rest that was planned here before


class FramePlan:
    """The next units in order, the first of them due next; at most `limits.ahead` of them.

    One utterance at a time is in it; `speech` is the one, from when it is begun until it is over,
    through all pauses. `on_hole` is called when it has to pause in its middle.
    """

    def __init__(
        self,
        avatar: Avatar,
        queue: SessionQueue,
        limits: SessionLimits,
        on_hole: Callable[[], None],
    ) -> None:
        self.slots: deque[PlannedUnit] = deque()
        self.speech: Utterance | None = None
        self.flowing = False  # units of `speech` are planned one after the other
        self.shown: PlannedUnit | None = (
            None  # the last unit given out that was not rest, if none since
        )
        self._avatar = avatar
        self._queue = queue
        self._limits = limits
        self._on_hole = on_hole
        self._slips = 0  # times in a row that a beginning was put off
        self._start = 0  # index of the unit at which `speech` begins or goes on
        self._spares: deque[PlannedUnit] = deque()  # rests that were planned from there on
        self._level = 0  # of strength, of the last unit planned
        self._conditioning: Floats | None = None  # the last one planned
        self._reserve = MIN_RESERVE_MS

    def begin(self, utterance: Utterance, next_index: int, origin: int, earliest: int) -> None:
        """Let `utterance` start, or go on, when its first frame can be there from `earliest` ms."""
        start = max(next_index, self._first_unit(origin, earliest))
        self._spares.clear()
        while len(self.slots) > start - next_index and self._last_rests():
            rest = self.slots.pop()
            rest.cancelled = True
            self._spares.appendleft(rest)
        self.speech, self.flowing = utterance, True
        self._start = max(start, next_index + len(self.slots))

    def hasten(self, next_index: int, origin: int, earliest: int) -> None:
        """Let speech that waits for its start begin from `earliest` ms on, if that is much sooner.

        More of it has come, or all of it: there is no need to wait for the rest any more.
        """
        sooner = max(next_index, self._first_unit(origin, earliest))
        if self.speech is None or self._start - sooner < WORTHWHILE:
            return
        # A conditioning that is closing is not cut short.
        closing = [
            index
            for index, slot in enumerate(self.slots, next_index + 1)
            if slot.utterance is not self.speech and slot.request.conditioning is not None
        ]
        if self._start - max([sooner, *closing]) < WORTHWHILE:
            return
        while self.slots and self.slots[-1].utterance is self.speech:
            self._discard(self.slots.pop())
        self.begin(self.speech, next_index, origin, earliest)

    def retime(self, next_index: int, origin: int) -> None:
        """The time of unit 0 is known at last, or has moved."""
        for index, slot in enumerate(self.slots, next_index):
            slot.due = origin + UNIT_MS * index

    def take(self, missed: int) -> PlannedUnit | None:
        """The unit that is due, None where there is nothing to show but the last picture again.

        `missed` is how many units in a row have had no picture of their own.
        """
        if not self.slots:
            if self.flowing:  # a hole in the speech that was pushed, or it is heard too slowly
                self._pause(None)
            return None
        slot = self.slots.popleft()
        if slot.utterance is None:
            self.shown = slot if slot.request.conditioning is not None else None
            return slot
        if slot.beginning:
            if not self._may_begin(slot, missed):
                return self._slip(slot)
            self._slips = 0
            self._reserve = max(self._reserve - MIN_RESERVE_MS, MIN_RESERVE_MS)
        if slot.picture is None and slot.error is None and missed >= self._limits.patience:
            self._pause(slot)
            return None
        self.shown = slot
        return slot

    def fill(self, next_index: int, origin: int) -> None:
        """FramePlan as far ahead as is allowed and known, and have it drawn.

        `next_index` is the unit due next, `origin` the time of unit 0 in ms.
        """
        index, stop = next_index + len(self.slots), next_index + self._limits.ahead
        fresh: list[PlannedUnit] = []
        while index < stop:
            if self._level <= 1 and not self.flowing:
                fresh += [self._rest(one, origin + UNIT_MS * one) for one in range(index, stop)]
                break
            slot = self._slot(index, origin + UNIT_MS * index)
            if slot is None:
                break
            fresh.append(slot)
            index += 1
        if fresh:
            self.slots.extend(fresh)
            self._queue.draw(fresh)

    def unplan(self) -> None:
        """Throw away all that is planned; what would have been said goes back to be planned again.

        SpeechQueue pauses; the conditioning closes from where it is.
        """
        while self.slots:
            self._discard(self.slots.pop())
        self.flowing = False
        self._spares.clear()
        self._level, self._conditioning = 0, None
        if self.shown is not None and self.shown.request.conditioning is not None:
            self._level = round(self.shown.request.blend_weight * LEVELS)
            self._conditioning = self.shown.request.conditioning

    def finish(self) -> None:
        """All of the utterance was said."""
        self.speech, self.flowing = None, False

    def stop(self) -> None:
        """Nothing more of the utterance will be said: the conditioning closes in two frames."""
        self.unplan()
        self._level = min(self._level, LEVELS - 1)
        self.speech = None

    def skip(self, next_index: int) -> None:
        """The timeline goes on at `next_index` after a stall.

        SpeechQueue that is drawn is shown at once; all else is planned again.
        """
        said, begins = False, False
        while self.slots and not (self.slots[-1].utterance and self.slots[-1].picture is not None):
            slot = self.slots.pop()
            said, begins = said or slot.utterance is not None, begins or slot.beginning
            self._discard(slot)
        while self.slots and self.slots[0].utterance is None:
            self._discard(self.slots.popleft())
        self._spares.clear()
        self.flowing = (self.flowing or said) and not begins
        self._start = min(self._start, next_index)

    def _may_begin(self, slot: PlannedUnit, missed: int) -> bool:
        """The first frames are drawn, or have failed, or were waited for long enough.

        While nothing at all is drawn, not even idle frames, there is no end to waiting.
        """
        first = (slot, *islice(self.slots, self._limits.lead - 1))
        if all(one.picture is not None or one.error is not None for one in first):
            return True
        return self._slips >= self._limits.patience > missed

    def _slip(self, slot: PlannedUnit) -> PlannedUnit | None:
        """SpeechQueue cannot begin at `slot` yet: what was planned there before is shown.

        It gets more time from now on.
        """
        self._slips += 1
        self._reserve = min(self._reserve + UNIT_MS, MAX_RESERVE_MS)
        self.slots.appendleft(slot)
        self.unplan()
        return slot.spare

    def _pause(self, slot: PlannedUnit | None) -> None:
        """SpeechQueue waits at `slot` until enough of it is ready again."""
        if slot is not None:
            self.slots.appendleft(slot)
        self.unplan()
        self._on_hole()

    def _first_unit(self, origin: int, earliest: int) -> int:
        return -(-(earliest + self._reserve - origin) // UNIT_MS)

    def _last_rests(self) -> bool:
        return self.slots[-1].request.conditioning is None

    @staticmethod
    def _discard(slot: PlannedUnit) -> None:
        slot.cancelled = True
        if slot.utterance is not None:
            slot.utterance.put_back(slot.conditioning)

    def _slot(self, index: int, due: int) -> PlannedUnit | None:
        """What unit `index` will be; None when that is not known yet."""
        tail = None
        if self.flowing and index >= self._start:
            assert self.speech is not None
            conditioning = self.speech.next_conditioning()
            if conditioning is not None:
                return self._speech(index, due, conditioning)
            if not self.speech.complete:
                return None
            if self.speech.next_tail():
                tail = self.speech
            else:
                self.flowing = False
        if self._level > 1:
            self._level -= 1
            strength = self._level / LEVELS
            return PlannedUnit(
                FrameRequest(self._avatar, index, self._conditioning, strength), due, tail
            )
        return self._rest(index, due, tail)

    def _rest(self, index: int, due: int, tail: Utterance | None = None) -> PlannedUnit:
        self._level, self._conditioning = 0, None
        return PlannedUnit(FrameRequest(self._avatar, index, None), due, tail)

    def _speech(self, index: int, due: int, conditioning: Floats) -> PlannedUnit:
        self._level, self._conditioning = min(index - self._start + 1, LEVELS), conditioning
        request = FrameRequest(self._avatar, index, conditioning, self._level / LEVELS)
        slot = PlannedUnit(request, due, self.speech)
        slot.conditioning = conditioning
        slot.beginning = index == self._start
        if self._spares:
            slot.spare = self._spares.popleft()
        return slot
