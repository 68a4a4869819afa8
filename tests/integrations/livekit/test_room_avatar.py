"""A participant of a room whose runner fails, beside it or at its end: it is told, and leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("livekit.agents", reason="scripts/install --livekit brings LiveKit")

from livekit import rtc

from lipstream.integrations.livekit import room_avatar as module
from lipstream.integrations.livekit.room_address import RoomAddress
from lipstream.integrations.livekit.room_avatar import RoomAvatar
from tests.room_tokens import jwt

pytestmark = pytest.mark.agents

ADDRESS = RoomAddress("wss://rooms.example.org", jwt(), "agent")


class FakeRoom:
    """A room that takes everybody in."""

    def __init__(self) -> None:
        self.remote_participants: dict[str, Any] = {}
        self.left = False

    def on(self, event: str, handler: Any) -> None:
        """Nothing happens in it."""

    async def connect(self, *address: Any) -> None:
        """Let everybody in."""

    async def disconnect(self) -> None:
        self.left = True


class FakeRunner:
    """Runs until the test has it fail."""

    def __init__(self) -> None:
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closing: Exception | None = None

    async def start(self) -> None:
        """Nothing is shown."""

    async def wait_for_complete(self) -> None:
        await self.failure

    async def aclose(self) -> None:
        if self.closing is not None:
            raise self.closing


async def joined(monkeypatch: pytest.MonkeyPatch, lost: list[str]) -> tuple[RoomAvatar, Any, Any]:
    """A participant, and its room and runner."""
    room, runner = FakeRoom(), FakeRunner()
    monkeypatch.setattr(rtc, "Room", lambda: room)
    monkeypatch.setattr(module, "open_runner", lambda *_: runner)
    monkeypatch.setattr(module, "RoomSpeechReceiver", lambda *_: None)
    speaker: Any = None
    avatar = RoomAvatar(speaker, (16, 16), ADDRESS, on_lost=lost.append)
    await avatar.join()
    await asyncio.sleep(0)
    return avatar, room, runner


def test_a_room_in_which_nothing_can_be_shown_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        lost: list[str] = []
        avatar, room, runner = await joined(monkeypatch, lost)
        runner.failure.set_exception(RuntimeError("no permission to publish"))
        for _ in range(3):
            await asyncio.sleep(0)
        assert lost == ["the avatar could not be shown in the room (RuntimeError)"]
        await avatar.close()
        assert room.left

    asyncio.run(test())


def test_a_room_is_left_though_its_runner_does_not_end_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        lost: list[str] = []
        avatar, room, runner = await joined(monkeypatch, lost)
        runner.closing = RuntimeError("a bug")
        with pytest.raises(RuntimeError, match="a bug"):
            await avatar.close()
        assert room.left and not lost

    asyncio.run(test())


def test_a_room_that_is_still_being_joined_is_given_up_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And left when it takes the avatar in after all."""

    async def test() -> None:
        room, taken_in = FakeRoom(), asyncio.Event()

        async def connect(*address: Any) -> None:
            await taken_in.wait()

        monkeypatch.setattr(room, "connect", connect)
        monkeypatch.setattr(rtc, "Room", lambda: room)
        speaker: Any = None
        avatar = RoomAvatar(speaker, (16, 16), ADDRESS)
        joining = asyncio.create_task(avatar.join())
        await asyncio.sleep(0)
        await avatar.close()
        await joining
        assert not room.left
        taken_in.set()
        for _ in range(4):
            await asyncio.sleep(0)
        assert room.left

    asyncio.run(asyncio.wait_for(test(), module.JOIN_S / 2))
