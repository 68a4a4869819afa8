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
class CostModel:
    """The time of a virtual device: `fixed_ms` for a batch and `frame_ms` for each frame in it.

    `host_ms` is the work of the processor for a batch while the device, in turn, has nothing to do;
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
        """The ceiling: sessions served if all batches were full and no frame had a deadline."""
        return 40.0 * self.batch / (self.fixed_ms + self.frame_ms * self.batch)


class VirtualClock(ManualClock):
    """A clock with fractions of milliseconds; `on_tick` is called for each whole one."""

    def __init__(self) -> None:
        super().__init__()
        self.exact = 0.0  # ms
        self.on_tick: Callable[[int], None] = lambda now_ms: None

    def move_to(self, moment_ms: float) -> None:
        """Go forward to `moment_ms`; nothing happens when it has passed."""
        self.exact = max(self.exact, moment_ms)
        while self.now_ms() < int(self.exact):
            self.advance(1)
            self.on_tick(self.now_ms())


class VirtualDevice:
    """A renderer that draws nothing and takes as long as `costs` says, by moving the clock."""

    def __init__(self, costs: CostModel, clock: VirtualClock, seed: int) -> None:
        self.costs, self.clock = costs, clock
        self.batches: list[int] = []  # their sizes
        self.busy_ms = 0.0  # of the device
        self._random = random.Random(seed)
        self._free = 0.0  # the time at which the device has done all its work
        self._picture: Image = np.zeros((1, 1, 3), np.uint8)

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        return avatar

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        """Wait for the device, then do the processor's part."""
        pictures = self.launch(requests).finish()
        self.clock.move_to(self.clock.exact + self.costs.host_ms)
        return pictures

    def launch(self, requests: Sequence[FrameRequest]) -> VirtualBatch:
        """Give the device a batch; it begins when it has done those before."""
        self.batches.append(len(requests))
        drift = max(self._random.gauss(1.0, self.costs.jitter), 0.5)
        took = (self.costs.fixed_ms + self.costs.frame_ms * len(requests)) * drift
        self.busy_ms += took
        self._free = max(self._free, self.clock.exact) + took
        return VirtualBatch(self.clock, self._free, [self._picture] * len(requests))


@dataclass(frozen=True, slots=True)
class VirtualBatch:
    """A batch on the device."""

    clock: VirtualClock
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
        self.clock.move_to(min(self.clock.exact + self.costs.host_ms, batch.ready_ms))
        return batch
