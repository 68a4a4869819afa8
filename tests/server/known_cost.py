"""Real sessions of a server that knows what a frame costs: to measure it takes two seconds."""

from __future__ import annotations

from lipstream.avatar.avatar import Avatar
from lipstream.server.admission import Cost
from lipstream.server.media_runtime import MediaRuntime

FRAME_COST = Cost(drawing=0.5, encoding=0.5, sending=0.2)  # about that of fakes, in ms


class KnownCostRuntime(MediaRuntime):
    """The real runtime but for the measurement."""

    def measure(self, avatar: Avatar, like: Cost | None = None) -> Cost:
        return FRAME_COST
