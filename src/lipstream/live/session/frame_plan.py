"""The plan of the next units: idle, speech, or the blend from one to the other.

An example. Unit 10 is due next, and 10 to 15 are planned as idle. An utterance becomes ready whose
first frame can be drawn 60 ms from now, so `begin` puts its start at unit 12: the idle units 12 to
15 are withdrawn (and kept as substitutes), and `fill` plans frames 0 to 3 of the utterance there
with the blend weights 1/3, 2/3, 1, 1. When unit 12 is due and its first frames are drawn, speech
starts. If they are not, the start slips: unit 12 shows its idle substitute, the frames go back to
the utterance, and `begin` plans the start anew, a unit later than it would have. After the last
frame two closing units blend the mouth back with the weights 2/3 and 1/3, then all is idle again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice

from lipstream.avatar.avatar import Avatar
from lipstream.config import MotionLevel
from lipstream.live.scheduler.jobs import RenderJob
from lipstream.live.scheduler.session_queue import SessionQueue
from lipstream.live.session.types import SessionLimits
from lipstream.live.session.utterance_buffer import UtteranceBuffer
from lipstream.media.image import Floats
from lipstream.rendering.base import FrameRequest
from lipstream.timeline import UNIT_MS

BLEND_STEPS = 3  # between idle and speech, one frame each
MIN_GAIN = 2  # units by which a start must come sooner for it to be planned again
MIN_RESERVE_MS, MAX_RESERVE_MS = 10, 400  # from planning a start to its first unit


class PlannedUnit(RenderJob):
    """One unit that is planned."""

    __slots__ = ("conditioning", "starts", "substitute", "utterance")

    def __init__(
        self, request: FrameRequest, due: int, utterance: UtteranceBuffer | None = None
    ) -> None:
        super().__init__(request, due)
        self.utterance = utterance  # whose sound it carries; None for silence
        self.conditioning: Floats | None = None  # a frame of the utterance, not of its closing
        self.starts = False  # speech starts here, or goes on after a pause
        self.substitute: PlannedUnit | None = None  # the idle unit that was planned here before


class FramePlan:
    """The next units in order, the first of them due next; at most `limits.ahead` of them.

    One utterance at a time is planned: `speech`, from its start until it is through, also while it
    pauses. `on_hole` is called when it has to pause in its middle.
    """

    def __init__(
        self,
        avatar: Avatar,
        queue: SessionQueue,
        limits: SessionLimits,
        on_hole: Callable[[], None],
        motion: MotionLevel | None = None,
    ) -> None:
        self.units: deque[PlannedUnit] = deque()
        self.speech: UtteranceBuffer | None = None
        self.flowing = False  # frames of `speech` are planned one after the other
        self._avatar, self._queue, self._limits, self._on_hole = avatar, queue, limits, on_hole
        self._motion = motion
        self._shown: PlannedUnit | None = None  # the last unit taken, None when it was idle
        self._slips = 0  # times in a row that a start was put off
        self._start = 0  # index of the unit at which `speech` starts or goes on
        self._substitutes: deque[PlannedUnit] = deque()  # idle units planned from there on
        self._blend_step = 0  # 0 idle to BLEND_STEPS, of the unit planned last
        self._conditioning: Floats | None = None  # the one planned last
        self._reserve_ms = MIN_RESERVE_MS

    def begin(
        self, utterance: UtteranceBuffer, next_index: int, origin: int, earliest: int
    ) -> None:
        """Plan to start, or go on with, `utterance`; its first frame can be ready at `earliest` ms.

        If it waits for its start already, that is moved where it comes much sooner: more of the
        utterance has come, or all of it, so that it cannot run out. `next_index` is the unit due
        next, `origin` the time of unit 0 in ms.
        """
        start = max(next_index, -(-(earliest + self._reserve_ms - origin) // UNIT_MS))
        if self.flowing:
            # A mouth that is closing is not interrupted.
            closing = [
                index
                for index, unit in enumerate(self.units, next_index + 1)
                if unit.utterance is not utterance and not _is_idle(unit)
            ]
            if self._start - max([start, *closing]) < MIN_GAIN:
                return
            while self.units and self.units[-1].utterance is utterance:
                _withdraw(self.units.pop())
        self._substitutes.clear()
        while len(self.units) > start - next_index and _is_idle(self.units[-1]):
            idle = self.units.pop()
            idle.cancelled = True
            self._substitutes.appendleft(idle)
        self.speech, self.flowing = utterance, True
        self._start = max(start, next_index + len(self.units))

    def retime(self, next_index: int, origin: int) -> None:
        """Set when each unit is due: the time of unit 0 is known at last, or has moved."""
        for index, unit in enumerate(self.units, next_index):
            unit.due = origin + UNIT_MS * index

    def take(self, missed: int) -> PlannedUnit | None:
        """The unit that is due; None where the last picture is shown again, in silence.

        `missed` is how many units in a row have had no picture of their own.
        """
        if not self.units:
            if self.flowing:  # a hole in the speech that was pushed, or it is encoded too slowly
                self._pause()
            return None
        unit = self.units.popleft()
        if unit.utterance is None:
            self._shown = None if _is_idle(unit) else unit
            return unit
        if unit.starts:
            if not self._may_start(unit, missed):
                self._slips += 1
                self._reserve_ms = min(self._reserve_ms + UNIT_MS, MAX_RESERVE_MS)
                self.units.appendleft(unit)
                self.withdraw()
                return unit.substitute
            self._slips = 0
            self._reserve_ms = max(self._reserve_ms - MIN_RESERVE_MS, MIN_RESERVE_MS)
        if unit.picture is None and unit.error is None and missed >= self._limits.patience:
            self.units.appendleft(unit)
            self._pause()
            return None
        self._shown = unit
        return unit

    def fill(self, next_index: int, origin: int) -> None:
        """Plan as far ahead as is allowed and known, and have it drawn; arguments as for `begin`.

        Units that are planned already stay.
        """
        added: list[PlannedUnit] = []
        for index in range(next_index + len(self.units), next_index + self._limits.ahead):
            unit = self._next_unit(index, origin + UNIT_MS * index)
            if unit is None:
                break
            added.append(unit)
        if added:
            self.units.extend(added)
            self._queue.draw(added)

    def withdraw(self) -> None:
        """Withdraw all that is planned; speech pauses, and its frames go back to be planned again.

        The mouth closes from where it is.
        """
        while self.units:
            _withdraw(self.units.pop())
        self.flowing = False
        self._substitutes.clear()
        self._blend_step, self._conditioning = 0, None
        if self._shown is not None and self._shown.request.conditioning is not None:
            self._blend_step = round(self._shown.request.blend_weight * BLEND_STEPS)
            self._conditioning = self._shown.request.conditioning

    def continues(self, utterance: UtteranceBuffer) -> bool:
        """True when the next unit goes on with the sound of the unit before it."""
        if not self.units:
            return self.flowing and self.speech is utterance and self._shown is not None
        return self.units[0].utterance is utterance and not self.units[0].starts

    def finish(self) -> None:
        """Forget the utterance, all of which was taken."""
        self.speech, self.flowing = None, False

    def stop(self) -> None:
        """Plan nothing more of the utterance: the mouth closes in two frames.

        What is planned stays if nothing of it is speech: a pump may be waiting for it.
        """
        if self.flowing or any(unit.utterance is not None for unit in self.units):
            self.withdraw()
            self._blend_step = min(self._blend_step, BLEND_STEPS - 1)
        self.speech = None

    def skip(self, next_index: int) -> None:
        """Go on at `next_index` after a stall.

        Speech that is drawn is shown at once; all else is planned again.
        """
        spoken, starts = False, False
        while self.units and not (self.units[-1].utterance and self.units[-1].picture is not None):
            unit = self.units.pop()
            spoken, starts = spoken or unit.utterance is not None, starts or unit.starts
            _withdraw(unit)
        while self.units and self.units[0].utterance is None:
            _withdraw(self.units.popleft())
        self._substitutes.clear()
        self.flowing = (self.flowing or spoken) and not starts
        self._start = min(self._start, next_index)

    def _may_start(self, unit: PlannedUnit, missed: int) -> bool:
        """True when the first frames are drawn, have failed, or were waited for long enough.

        While nothing at all is drawn, not even idle frames, there is no end to waiting.
        """
        first = (unit, *islice(self.units, self._limits.lead - 1))
        if all(one.picture is not None or one.error is not None for one in first):
            return True
        return self._slips >= self._limits.patience > missed

    def _pause(self) -> None:
        """Let speech wait until enough of it is ready again."""
        self.withdraw()
        self._on_hole()

    def _next_unit(self, index: int, due: int) -> PlannedUnit | None:
        """Plan unit `index`; None when that needs speech which is not encoded yet."""
        speech, conditioning = None, None
        if self.flowing and index >= self._start:
            assert self.speech is not None
            conditioning = self.speech.next_conditioning()
            if conditioning is None and not self.speech.encoded:
                return None
            if conditioning is not None or self.speech.next_tail():
                speech = self.speech
            else:
                self.flowing = False
        if conditioning is not None:
            self._conditioning = conditioning
            self._blend_step = min(index - self._start + 1, BLEND_STEPS)
        else:
            self._blend_step = max(self._blend_step - 1, 0)
        if self._blend_step:
            weight = self._blend_step / BLEND_STEPS
            request = FrameRequest(self._avatar, index, self._conditioning, weight, self._motion)
        else:
            self._conditioning = None
            request = FrameRequest(self._avatar, index, None, motion=self._motion)
        unit = PlannedUnit(request, due, speech)
        if conditioning is not None:
            unit.conditioning = conditioning
            unit.starts = index == self._start
            unit.substitute = self._substitutes.popleft() if self._substitutes else None
        return unit


def _is_idle(unit: PlannedUnit) -> bool:
    return unit.request.conditioning is None


def _withdraw(unit: PlannedUnit) -> None:
    """Cancel its drawing; its frame goes back to its utterance."""
    unit.cancelled = True
    if unit.utterance is not None:
        unit.utterance.put_back(unit.conditioning)
