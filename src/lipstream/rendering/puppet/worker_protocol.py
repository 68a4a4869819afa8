"""The messages between a `PuppetWorkerPool` and its worker processes.

A request goes over a connection as one message: `REQUEST`, then its content. The answer is one
`ANSWER`, in the order of the requests; its content, a picture or the text of an error, lies in the
slot of shared memory that the request named. Nothing is unpickled at either end.
"""

from __future__ import annotations

from struct import Struct

from lipstream.avatar.avatar import Avatar
from lipstream.config import MotionLevel

REQUEST = Struct("<cBI")  # kind, slot, number of an avatar
LOAD, FORGET, DRAW = b"L", b"F", b"D"  # LOAD's content is a file; FORGET has no answer
# Content of DRAW: frame index, blend weight, place in MOTIONS; then the conditioning, float32.
FRAME = Struct("<IfB3x")
MOTIONS: tuple[MotionLevel | None, ...] = (None, "still", "calm", "lively")
ANSWER = Struct("<cBI")  # kind, slot, bytes in the slot
DONE, REFUSED, FAILED = b"D", b"R", b"F"  # REFUSED: a LipstreamError, as "class:message"

DRAW_SLOTS = 4  # frames that one worker may have in flight: it draws while the pool is busy
LOAD_SLOT = DRAW_SLOTS
SLOT_BYTES = 64 << 20  # the largest picture; memory that is not touched costs nothing
MEMORY_BYTES = (DRAW_SLOTS + 1) * SLOT_BYTES
MAX_TEXT_BYTES = 4096  # of an error


def picture_shape(avatar: Avatar, i420: bool) -> tuple[int, ...]:
    """The shape of a picture of `avatar`: RGB, or I420, whose sides are made even."""
    width, height = avatar.size
    if not i420:
        return height, width, 3
    return (height + height % 2) * 3 // 2, width + width % 2
