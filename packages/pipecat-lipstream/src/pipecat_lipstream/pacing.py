"""A cure for the clock of pictures in Pipecat's SmallWebRTC transport.

`RawVideoTrack` takes its timestamps from a track of aiortc's that counts 30 frames a second,
whatever `video_out_framerate` says. Of 25 frames a second the RTP clock then runs at 5/6 of real
time, and no browser can show lips and sound together (pipecat-ai 1.14.0).
"""

from __future__ import annotations

import fractions
import sys
from collections import deque
from typing import Any

MODULE = "pipecat.transports.smallwebrtc.transport"
CLOCK_RATE = 90_000  # Hz; of RTP video, RFC 3551
TIMESTAMP = "lipstream_timestamp"  # in a picture's `metadata`, of that clock


def pace_pictures() -> bool:
    """Have that transport send pictures that have a `TIMESTAMP` with it, and others as before.

    Returns False where the transport is not in use. May be called any number of times.
    """
    track: Any = getattr(sys.modules.get(MODULE), "RawVideoTrack", None)
    if track is None:
        return False
    if getattr(track, "lipstream_paced", False):
        return True
    add_video_frame, next_timestamp = track.add_video_frame, track.next_timestamp

    def add(self: Any, frame: Any) -> None:
        if not hasattr(self, "lipstream_timestamps"):
            self.lipstream_timestamps = deque()
        self.lipstream_timestamps.append(frame.metadata.get(TIMESTAMP))
        add_video_frame(self, frame)

    async def timestamp(self: Any) -> tuple[int, fractions.Fraction]:
        """The one of the picture that `recv` has just taken: both queues have the same order."""
        ours = None
        if waiting := getattr(self, "lipstream_timestamps", None):  # else it is older than this
            ours = waiting.popleft()
        if ours is None:
            usual: tuple[int, fractions.Fraction] = await next_timestamp(self)
            return usual
        return ours, fractions.Fraction(1, CLOCK_RATE)

    track.add_video_frame, track.next_timestamp = add, timestamp
    track.lipstream_paced = True
    return True
