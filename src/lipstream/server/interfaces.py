"""What the server needs of a backend and of WebRTC, behind one narrow interface."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.live.session import Unit
    from lipstream.media.audio import AudioChunk
    from lipstream.progress import Progress
    from lipstream.server.admission import Cost
    from lipstream.server.rtc.ice_servers import IceServer
    from lipstream.server.rtc.interfaces import Observer, Source, SpeechSink, Transport


class SessionEvent(Protocol):
    """Something that happened to an utterance."""

    @property
    def kind(self) -> Literal["started", "ended", "interrupted", "failed"]: ...
    @property
    def utterance(self) -> int: ...
    @property
    def played_ms(self) -> int: ...


class LiveSession(Protocol):
    """One person talking: `lipstream.live.session.Session`."""

    counts: Any  # units, late, repeated, dropped, skipped, underruns, utterances, interrupts

    @property
    def closed(self) -> bool: ...
    @property
    def look_ahead_ms(self) -> int: ...
    @property
    def buffered_ms(self) -> int: ...
    def push(self, chunk: AudioChunk) -> None: ...
    async def room(self, ms: int) -> None: ...
    def end(self) -> None: ...
    def interrupt(self) -> int: ...
    def add_listener(self, listener: Callable[[Any], None]) -> Callable[[], None]: ...
    def units(self) -> AsyncIterator[Unit]: ...
    def close(self) -> None: ...


class MediaRuntime(Protocol):
    """A backend with its scheduler and media workers."""

    @property
    def backend(self) -> str:
        """The backend's name."""
        ...

    @property
    def reason(self) -> str:
        """Why it was chosen."""
        ...

    @property
    def parallelism(self) -> int:
        """Frames that are drawn side by side."""
        ...

    def start(self) -> None: ...

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        """The avatar to use from now on. Takes long; call it in a thread."""
        ...

    def measure(self, avatar: Avatar) -> Cost:
        """What a frame of it costs. Takes a second; call it in a thread."""
        ...

    def open_session(self, avatar: Avatar) -> LiveSession: ...

    def open_line(
        self,
        source: Source,
        hearer: SpeechSink,
        observer: Observer,
        on_closed: Callable[[str], None],
    ) -> Transport:
        """A way for one viewer to see and hear `source` and to speak to `hearer`."""
        ...

    def ice_servers(self, session_id: str) -> Sequence[IceServer]: ...

    async def close(self) -> None: ...
