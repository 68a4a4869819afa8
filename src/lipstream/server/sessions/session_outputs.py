"""The ways out of one session: to its viewer, into a file, and to a server of streams."""

from __future__ import annotations

from collections.abc import AsyncIterator

from lipstream.live.session.session import Session
from lipstream.live.session.types import Unit
from lipstream.push.live_push import PushState
from lipstream.server.admission import Cost
from lipstream.server.outputs.recording import Recording
from lipstream.server.outputs.session_push import SessionPush
from lipstream.server.schemas.sessions import PushInfo
from lipstream.server.sessions.ending import end_all
from lipstream.server.sessions.unit_feed import Sink, UnitFeed


class SessionOutputs:
    """Shares out the units of a session. Used on the event loop only."""

    def __init__(self, live: Session, on_unit: Sink) -> None:
        """`on_unit` is given each unit first."""
        self._live = live
        self._feed = UnitFeed(live)
        self._feed.add_sink(on_unit)
        self._recording: Recording | None = None
        self._push: SessionPush | None = None

    @property
    def recorded(self) -> bool:
        """True where its units are kept in a file; no more once that has failed."""
        return self._recording is not None and not self._recording.over

    @property
    def push(self) -> PushInfo | None:
        """The state of its push as a message of the API, if it is pushed."""
        return None if self._push is None else self._push.info

    @property
    def push_state(self) -> PushState | None:
        """The state of its push in a word, if it is pushed."""
        return None if self._push is None else self._push.state

    def cost(self, cost: Cost) -> Cost:
        """The cost of a frame with them, where `cost` is that without."""
        return cost.with_outputs(recorded=self.recorded, pushed=self._push is not None)

    def units(self) -> AsyncIterator[Unit]:
        """The units of the session, for its viewer."""
        return self._feed.units()

    def record(self, recording: Recording) -> None:
        """Keep what is seen and heard from now on, until the session ends."""
        self._recording = recording
        self._feed.add_sink(recording.put)
        self._live.add_listener(recording.note)

    def push_by(self, push: SessionPush) -> None:
        """Push what is seen and heard from the first connection on, whoever watches."""
        self._push = push
        self._feed.shared = True
        self._feed.add_sink(push.put)
        push.start()

    def draw(self) -> None:
        """Draw units from now on, whoever watches."""
        self._feed.draw()

    def finish(self) -> None:
        """Have the recording finished; nobody waits for it."""
        if self._recording is not None:
            self._recording.finish()

    async def close(self, short_id: str) -> None:
        """Give out no more units, and end the push; `short_id` is what logs call the session."""
        ending = [self._feed.close()]
        if self._push is not None:
            ending.append(self._push.end())
        await end_all(short_id, *ending)
