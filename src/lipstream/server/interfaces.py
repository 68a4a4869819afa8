"""The narrow interface between the server and its backend and WebRTC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.config import Progress
    from lipstream.live.session import Session
    from lipstream.server.admission import Cost
    from lipstream.server.rtc.ice_servers import IceServer
    from lipstream.server.rtc.interfaces import Source, SpeechSink, Transport, TransportObserver


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

    @property
    def fault(self) -> str | None:
        """One sentence when sessions cannot be served at present. Quick; read often."""
        ...

    @property
    def restarts(self) -> int:
        """Drawing workers that died or hung and were replaced."""
        ...

    def start(self) -> None: ...

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        """The avatar to use from now on. Takes long; call it in a thread."""
        ...

    def measure(self, avatar: Avatar) -> Cost:
        """The cost of a frame. Takes up to three seconds; call it in a thread."""
        ...

    def measure_sending(self) -> float:
        """Milliseconds of the event loop per unit and viewer. Takes a second, as above."""
        ...

    def open_session(self, avatar: Avatar) -> Session: ...

    def open_connection(
        self,
        source: Source,
        speech: SpeechSink,
        observer: TransportObserver,
        on_closed: Callable[[str], None],
    ) -> Transport:
        """The connection of one viewer, who sees and hears `source` and may speak to `speech`."""
        ...

    def ice_servers(self, session_id: str) -> Sequence[IceServer]: ...

    async def close(self) -> None: ...
