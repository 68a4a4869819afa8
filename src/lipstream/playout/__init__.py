"""What is due when: clocks, and buffers between what arrives and what is played."""

from __future__ import annotations

from lipstream.playout.clock import Clock, ManualClock, MonotonicClock
from lipstream.playout.frame_buffer import FrameBuffer

__all__ = ["Clock", "FrameBuffer", "ManualClock", "MonotonicClock"]
