"""The interfaces between sessions and the transport of their media."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from lipstream.errors import LipstreamError
from lipstream.live.session.types import Unit
from lipstream.live.session.utterance import Utterance
from lipstream.media.image import Floats


class SignallingError(LipstreamError):
    """A peer's offer or candidates cannot be used; the message says what is wrong with them."""


class RestartError(SignallingError):
    """The peer asks for an ICE restart, which is not supported: it must connect anew."""


class NoPortError(LipstreamError):
    """No UDP port of the range is free for one more viewer."""


class Source(Protocol):
    """The media that a transport plays. `Session` is one."""

    def units(self) -> AsyncIterator[Unit]:
        """Units as they become due; may be called again when the iterator before was closed."""


class SpeechSink(Protocol):
    """The receiver of a viewer's speech. `Session` is one."""

    def open_utterance(self, sample_rate: int) -> Utterance:
        """Open an utterance. Raises LipstreamError when it has no room."""


class VoiceSink(Protocol):
    """The programs that hear a viewer. `ViewerVoice` is one."""

    def hear(self, samples: Floats, speech: bool) -> bool:
        """Take (n,) float32 at 48 kHz; `speech`: words are among them. True when it is for
        programs, and not for the avatar to speak."""


class TransportObserver:
    """Receives a transport's measurements, on the event loop; subclasses must be quick."""

    def encoded(self, kind: str, ms: float, key: bool) -> None:
        """One unit's "audio" or "video" took `ms` of wall time to encode."""

    def first_frame(self, ms: float) -> None:
        """The first picture left `ms` after the offer had come."""

    def unit_late(self, ms: float) -> None:
        """A unit was released `ms` after it was due."""

    def video_dropped(self) -> None:
        """A picture was not encoded, as the one before it still was."""

    def reported(self, kind: str, lost: float, round_trip_ms: float | None) -> None:
        """The peer lost this share (0..1) of the packets since its last report."""
