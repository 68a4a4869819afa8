"""An accelerator that only exists in virtual time, as the renderer of a real scheduler."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lipstream.live.clock import ManualClock
from lipstream.rendering.base import FrameRequest

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.config import Progress
    from lipstream.media.image import Image


@dataclass(frozen=True, slots=True)
class Pace:
    """How long an imaginary device takes: `fixed_ms` for a batch, `frame_ms` for each frame in it.

    `host_ms` is what the processor does for a batch while the device, in turn, has nothing to do;
    a pipelined renderer does it while the device is busy with the next one.
    """

    name: str
    fixed_ms: float
    frame_ms: float
    batch: int  # frames that it takes at once, at most
    host_ms: float = 0.0
    jitter: float = 0.03  # standard deviation of a batch's time, as a share of it

    @property
    def sessions(self) -> float:
        """How many it could serve if all batches were full and nobody minded when: the ceiling."""
        return 40.0 * self.batch / (self.fixed_ms + self.frame_ms * self.batch)


class VirtualTime(ManualClock):
    """A clock that stands between milliseconds too, and tells `ticked` of each that has come."""

    def __init__(self) -> None:
        super().__init__()
        self.exact = 0.0  # ms
        self.ticked: Callable[[int], None] = lambda now_ms: None

    def move_to(self, moment_ms: float) -> None:
        """Go forward to `moment_ms`; nothing happens when it has passed."""
        self.exact = max(self.exact, moment_ms)
        while self.now_ms() < int(self.exact):
            self.advance(1)
            self.ticked(self.now_ms())


class VirtualDevice:
    """Draws nothing, and takes as long as `pace` says: the clock moves while it works."""

    def __init__(self, pace: Pace, clock: VirtualTime, seed: int) -> None:
        self.pace, self.clock = pace, clock
        self.batches: list[int] = []  # their sizes
        self.busy_ms = 0.0  # of the device
        self._random = random.Random(seed)
        self._free = 0.0  # when the device has done all that it was given
        self._picture: Image = np.zeros((1, 1, 3), np.uint8)

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        return avatar

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        """Wait for the device, then do the processor's part."""
        pictures = self.launch(requests).finish()
        self.clock.move_to(self.clock.exact + self.pace.host_ms)
        return pictures

    def launch(self, requests: Sequence[FrameRequest]) -> VirtualBatch:
        """Give the device a batch; it begins when it has done those before."""
        self.batches.append(len(requests))
        drift = max(self._random.gauss(1.0, self.pace.jitter), 0.5)
        took = (self.pace.fixed_ms + self.pace.frame_ms * len(requests)) * drift
        self.busy_ms += took
        self._free = max(self._free, self.clock.exact) + took
        return VirtualBatch(self.clock, self._free, [self._picture] * len(requests))


@dataclass(frozen=True, slots=True)
class VirtualBatch:
    """A batch that the device has been given."""

    clock: VirtualTime
    ready_ms: float
    pictures: list[Image]

    def finish(self) -> list[Image]:
        """Wait for it."""
        self.clock.move_to(self.ready_ms)
        return self.pictures


class PipelinedDevice(VirtualDevice):
    """The same for a scheduler that gives the next batch before it takes the one before."""

    overlaps = True

    def begin(self, requests: Sequence[FrameRequest]) -> VirtualBatch:
        """Give the device a batch; the processor's part of the one before is done meanwhile."""
        batch = self.launch(requests)
        self.clock.move_to(min(self.clock.exact + self.pace.host_ms, batch.ready_ms))
        return batch
