"""The error of a room that cannot be joined; it needs nothing of LiveKit."""

from __future__ import annotations

from typing import Literal, TypeAlias

from lipstream.errors import LipstreamError

Reason: TypeAlias = Literal["refused", "silent", "unreachable"]


class RoomError(LipstreamError):
    """A room that cannot be joined, and why in a word and a sentence."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
