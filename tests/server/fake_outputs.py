"""A push and a room of LiveKit, driven by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lipstream.push.live_push import LivePush, PushRefusedError

if TYPE_CHECKING:
    from lipstream.integrations.livekit.generator import Speaker
    from lipstream.integrations.livekit.room_address import RoomAddress
    from lipstream.integrations.livekit.room_error import RoomError
    from lipstream.push.live_push import OnLost


class FakePush(LivePush):
    """Is connected, lost and refused by the test."""

    def __init__(self, on_lost: OnLost, on_connected: Callable[[], None]) -> None:
        super().__init__(on_lost, on_connected)
        self._losing: asyncio.Future[str] = asyncio.Future()
        self.ended = False

    def connect(self) -> None:
        self._connect()

    @property
    def tried(self) -> bool:
        """True while it can be lost."""
        return not self._losing.done()

    def lose(self, reason: str) -> None:
        self._losing.set_result(reason)

    def refuse(self, reason: str) -> None:
        self._losing.set_exception(PushRefusedError(reason))

    async def end(self) -> None:
        self.ended = True
        await super().end()
        if self.tried:
            self._losing.set_result("it has ended")

    async def _try_once(self) -> str:
        self._losing = asyncio.Future()
        return await self._losing


class FakeRoom:
    """A room of LiveKit that the test opens, or that refuses, and where an agent comes and goes."""

    def __init__(
        self,
        speaker: Speaker,
        address: RoomAddress,
        on_agent: Any,
        on_lost: Any,
        error: RoomError | None,
        answers: asyncio.Event | None,
    ) -> None:
        self.speaker, self.address = speaker, address
        self.on_agent, self.on_lost = on_agent, on_lost
        self.error, self.answers = error, answers
        self.closed = False

    async def join(self) -> None:
        if self.answers is not None:
            await self.answers.wait()
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        self.closed = True
        if self.answers is not None:
            self.answers.set()
