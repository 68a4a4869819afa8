"""The bit rate of one viewer's video, from its reports."""

from __future__ import annotations

import math
from dataclasses import dataclass

HEAVY_LOSS, LIGHT_LOSS = 0.10, 0.02  # shares of packets, as in Google's congestion control
GROWTH = 1.05  # per report, about once a second


@dataclass(slots=True)
class BitrateTarget:
    """The bit rate to encode at: what the receiver estimates, less when packets are lost. Below 2 %
    loss the path may carry more, above 10 % it is full, and between the two the loss is its own and
    nothing changes. All in bits per second."""

    ceiling: int
    floor: int
    estimate: float = math.inf  # the receiver's (REMB), once it has sent one
    by_loss: float = math.inf  # until the first report

    @property
    def value(self) -> int:
        """The bit rate to encode at now."""
        return round(max(self.floor, min(self.ceiling, self.estimate, self.by_loss)))

    def estimated(self, bitrate: int) -> None:
        """Take the receiver's estimate of what it can receive."""
        self.estimate = bitrate

    def lost(self, share: float) -> None:
        """Take the share (0..1) of packets that the receiver missed since its last report."""
        rate = min(self.by_loss, self.ceiling)
        if share > HEAVY_LOSS:
            rate = min(rate, self.value) * (1 - share / 2)
        elif share < LIGHT_LOSS:
            rate *= GROWTH
        self.by_loss = max(self.floor, min(rate, self.ceiling))
