"""An avatar that joins a room by itself, as a participant beside the agent that speaks."""

from __future__ import annotations

import asyncio
import logging
from asyncio import FIRST_COMPLETED
from collections.abc import Callable

from livekit import rtc
from livekit.agents.voice.avatar import AvatarRunner

from lipstream.integrations.livekit.generator import Speaker
from lipstream.integrations.livekit.room_address import RoomAddress
from lipstream.integrations.livekit.room_error import RoomError
from lipstream.integrations.livekit.room_speech import RoomSpeechReceiver
from lipstream.integrations.livekit.runner import open_runner
from lipstream.live.cancellation import cancel_until_ended

JOIN_S = 8.0  # in which a room must take the avatar in
TRY_S = 4.0  # for the library's own tries, of which there are four
LEAVE_S = 3.0
MAX_SEGMENT_BYTES = 128 << 20  # of one stream of speech
REFUSED = ("401", "403", "unauthorized", "permission")  # in what the library says

log = logging.getLogger("lipstream.livekit")


class RoomAvatar:
    """The pictures and the sound of a session in a room, where an agent speaks.

    `on_agent` is told each time that the agent comes and goes, `on_lost` once, when the room has
    ended or this participant was removed from it. Neither is called after `close`.
    """

    def __init__(
        self,
        speaker: Speaker,
        size: tuple[int, int],
        address: RoomAddress,
        on_agent: Callable[[bool], None] = lambda here: None,
        on_lost: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """`size` is the width and height of the pictures."""
        self._speaker, self._size, self._address = speaker, size, address
        self._on_agent, self._on_lost = on_agent, on_lost
        self._room = rtc.Room()
        self._runner: AvatarRunner | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._closed = False
        self._given_up = asyncio.Event()  # by `close`

    async def join(self) -> None:
        """Join the room and show the avatar. RoomError within `JOIN_S` when that can't be; returns
        early after `close`."""
        data = rtc.room.DataStreamOptions(max_payload_byte_length=MAX_SEGMENT_BYTES)
        options = rtc.RoomOptions(auto_subscribe=False, connect_timeout=TRY_S, data_stream=data)
        room, address = self._room, self._address
        for event, handler in (
            ("participant_connected", lambda one: self._seen(one, True)),
            ("participant_disconnected", lambda one: self._seen(one, False)),
            ("disconnected", self._disconnected),
        ):
            room.on(event, handler)
        self._connecting = asyncio.create_task(room.connect(address.url, address.token, options))
        # It is never cancelled: the library would join all the same, and nobody would leave.
        given_up = asyncio.create_task(self._given_up.wait())
        await asyncio.wait(
            [self._connecting, given_up], timeout=JOIN_S, return_when=FIRST_COMPLETED
        )
        given_up.cancel()
        if self._closed:
            return
        if not self._connecting.done():
            raise RoomError("silent", f"the LiveKit server did not answer within {JOIN_S:g} s.")
        if (error := self._connecting.exception()) is not None:
            raise _failure(error) from None  # what the library says may hold the token
        receiver = RoomSpeechReceiver(room, address.agent_identity)
        self._runner = open_runner(room, receiver, self._speaker, self._size)
        await self._runner.start()
        self._watching = asyncio.create_task(self._watch(self._runner))
        if address.agent_identity in room.remote_participants:
            self._on_agent(True)

    async def close(self) -> None:
        """Leave the room, within seconds. May be called twice."""
        self._closed = True
        self._given_up.set()
        try:
            if (runner := self._runner) is not None:
                self._runner = None
                await runner.aclose()
        finally:
            if self._watching is not None:
                await cancel_until_ended([self._watching])
            if self._connecting is not None:
                if self._connecting.done():
                    await _leave(self._room, self._connecting)
                else:
                    self._connecting.add_done_callback(lambda done: _leave_later(self._room, done))

    async def _watch(self, runner: AvatarRunner) -> None:
        """Give up a room in which nothing can be shown, as where the token lets nobody publish: the
        runner itself would stay there, mute and unseen."""
        try:
            await runner.wait_for_complete()
        except Exception as error:  # LiveKit's have no class in common, and it has logged this one
            if not self._closed:
                self._on_lost(f"the avatar could not be shown in the room ({type(error).__name__})")

    def _seen(self, participant: rtc.RemoteParticipant, here: bool) -> None:
        if participant.identity == self._address.agent_identity and not self._closed:
            self._on_agent(here)

    def _disconnected(self, reason: object) -> None:
        if not self._closed:
            self._on_lost("the room has ended, or the avatar was removed from it")


def _failure(error: BaseException) -> RoomError:
    said = str(getattr(error, "message", error)).lower()
    if any(word in said for word in REFUSED):
        return RoomError("refused", "the LiveKit server does not take this token.")
    if "timeout" in said or "timed out" in said:
        return RoomError("silent", "the LiveKit server did not answer in time.")
    return RoomError("unreachable", "the LiveKit server cannot be reached at livekit.url.")


_leaving: set[asyncio.Task[None]] = set()  # rooms that answered when nobody waited any more


def _leave_later(room: rtc.Room, connected: asyncio.Task[None]) -> None:
    task = asyncio.get_running_loop().create_task(_leave(room, connected))
    _leaving.add(task)
    task.add_done_callback(_leaving.discard)


async def _leave(room: rtc.Room, connected: asyncio.Task[None]) -> None:
    if connected.cancelled() or connected.exception() is not None:
        return
    try:
        await asyncio.wait_for(room.disconnect(), LEAVE_S)
    except asyncio.TimeoutError:
        log.warning("a room was not left in time")
