"""Recordings and pushes of sessions, as they were asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from lipstream.server.admission import Cost
from lipstream.server.errors import ApiError
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.metrics import Metrics
from lipstream.server.outputs.push_address import PushAddress, PushAddresses, PushRequest
from lipstream.server.outputs.recorder import OnEvent, Recorder
from lipstream.server.outputs.session_push import SessionPush
from lipstream.server.sessions.session import ServerSession
from lipstream.server.settings import ServeSettings

NO_PUSH = (
    "push is no address of a stream; write rtmp://live.example.org/app/key, or the https:// of an "
    "endpoint of WHIP."
)
NO_ENDPOINT = (
    "push_token is for an endpoint of WHIP alone; the key of RTMP is a part of its address."
)
FOREIGN_PUSH = (
    "this server may not push to that address; start it with --push-to and its beginning, such as "
    "rtmp://live.example.org/app."
)


@dataclass(frozen=True, slots=True)
class OutputChoice:
    """The outputs that one session is opened with."""

    record: bool = True  # where the server keeps recordings
    push: PushRequest | None = None


class Outputs:
    """Opens the outputs of sessions. Used on the event loop only."""

    def __init__(
        self, settings: ServeSettings, runtime: MediaRuntime, metrics: Metrics, on_event: OnEvent
    ) -> None:
        self._runtime, self._metrics, self._on_event = runtime, metrics, on_event
        self._addresses = PushAddresses(settings.push_to)
        self._recorder: Recorder | None = None
        if settings.record is not None:
            self._recorder = Recorder(settings.record, metrics, on_event)

    def choose(self, record: bool, push: str | None, token: str | None) -> OutputChoice:
        """The outputs that are asked for: `push` is an address, and `token` that of an endpoint of
        WHIP. ApiError 422 for what is none, 403 for one that is not allowed."""
        address = None if push is None else PushAddress.parse(push)
        if push is not None and address is None:
            raise ApiError(422, NO_PUSH)
        if token is not None and (address is None or not address.by_whip):
            raise ApiError(422, NO_ENDPOINT)
        if address is None:
            return OutputChoice(record)
        if not self._addresses.allowed(address):
            raise ApiError(403, FOREIGN_PUSH, "push_not_allowed")
        return OutputChoice(record, PushRequest(address, token))

    def cost(self, cost: Cost, choice: OutputChoice) -> Cost:
        """The cost of a frame with the outputs that `attach` opens."""
        recorded = choice.record and self._recorder is not None
        return cost.with_outputs(recorded=recorded, pushed=choice.push is not None)

    def attach(self, session: ServerSession, choice: OutputChoice) -> None:
        """Open the outputs of a new session."""
        if choice.record and self._recorder is not None:
            ids = session.id, session.short_id, session.avatar_id
            session.outputs.record(self._recorder.record(*ids))
        if choice.push is not None:
            open_push = partial(self._runtime.open_push, choice.push, session.size)
            host, tell = choice.push.address.host, partial(self._tell, session)
            session.outputs.push_by(
                SessionPush(open_push, host, session.short_id, self._metrics, tell)
            )

    async def close(self) -> None:
        """Wait until all recordings are whole, for some seconds at most."""
        if self._recorder is not None:
            await self._recorder.close()

    def _tell(self, session: ServerSession, event: str, data: Mapping[str, Any]) -> None:
        session.push_changed(connected=event == "push.connected")
        self._on_event(event, {"session": session.id, "avatar": session.avatar_id, **data})
