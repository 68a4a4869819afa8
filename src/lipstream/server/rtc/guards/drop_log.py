"""The packets from the network that are dropped: counted, and logged without helping a flood."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Literal

from lipstream.live.clock import Clock, MonotonicClock

MIN_LINE_MS = 60_000  # between two lines about one cause
MIN_LINE_BYTES = 1024  # dropped since the last line: a line is never longer than what it is about

log = logging.getLogger(__name__)

Cause = Literal[
    "malformed",  # neither STUN nor DTLS nor RTP, or not whole
    "stranger",  # of an address or with a password that is not the viewer's
    "early",  # more than is kept of what comes before the connection is settled
    "unread",  # more than DTLS has taken so far
    "stun",  # more checks than a viewer may send
    "rtcp",  # more reports than a viewer may send
    "rtp",  # more sound than a viewer may send
    "full",  # sound for which the session has no room
    "ssrc",  # more senders than a viewer may have
]


class DropLog:
    """Counts dropped packets by cause for a whole server, and logs at most one line a minute and
    cause, which is never longer than what was dropped since the line before it."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.totals: Counter[str] = Counter()  # packets since the start, by cause
        self._clock = clock or MonotonicClock()
        self._pending: dict[str, tuple[int, int]] = {}  # (packets, bytes) since the last line
        self._logged_ms: dict[str, int] = {}  # when the last line was

    def add(self, cause: Cause, size: int) -> None:
        """A packet of `size` bytes was dropped."""
        self.totals[cause] += 1
        packets, octets = self._pending.get(cause, (0, 0))
        packets, octets = packets + 1, octets + size
        self._pending[cause] = packets, octets
        if octets < MIN_LINE_BYTES:
            return
        now = self._clock.now_ms()
        if now - self._logged_ms.get(cause, now - MIN_LINE_MS) >= MIN_LINE_MS:
            self._logged_ms[cause] = now
            del self._pending[cause]
            fields = {"cause": cause, "packets": packets, "bytes": octets}
            log.info("packets were dropped", extra=fields)
