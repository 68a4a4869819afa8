"""Sessions that are recorded, pushed, shown in rooms, watched and heard at once, in any order: no
call fails, and nothing of them is left."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from lipstream.server.admission import Cost
from lipstream.server.settings import ServeSettings
from tests.room_tokens import jwt
from tests.server.app_client import SDP, AppClient, run_client, settle
from tests.server.app_socket import Socket
from tests.server.fake_runtime import OFFER, FakeRuntime

ROUNDS, AT_ONCE = 60, 3
ROOMS, PUSHES = "wss://rooms.example.org", "rtmp://live.example.org/app"
ROOM = {"url": ROOMS, "token": jwt(), "agent_identity": "agent-1"}
Item = TypeVar("Item")


class Walk:
    """Does at random what clients, viewers, rooms and servers of streams do."""

    def __init__(self, client: AppClient, seed: int) -> None:
        self._client, self._random = client, random.Random(seed)
        self._made: list[dict[str, Any]] = []
        self._sockets: list[Socket] = []

    async def step(self) -> None:
        """Do one thing."""
        steps: tuple[Callable[[], Awaitable[None]], ...] = (
            self._open,
            self._call,
            self._listen,
            self._viewer,
            self._push,
            self._room,
        )
        await self._random.choice(steps)()

    async def end(self) -> None:
        """Close all that was opened."""
        for session in self._client.manager.open_sessions:
            await self._client.manager.close(session, "closed")
        for socket in self._sockets:
            await socket.leave()
        await settle()

    async def _open(self) -> None:
        body: dict[str, Any] = {"avatar": "face", "record": self._chance()}
        if self._chance():
            body["push"] = f"{PUSHES}/key"
        if self._chance():
            body["livekit"] = ROOM
        if self._made and self._chance():
            body["replaces"] = self._random.choice(self._made)["id"]
        answer = await self._client.http.post("/v1/sessions", json=body)
        if answer.status_code == 201:
            self._made.append(answer.json())
        _check(answer)

    async def _call(self) -> None:
        if made := self._any(self._made):
            here, http = f"/v1/sessions/{made['id']}", self._client.http
            kind = self._random.randrange(4)
            if kind == 0:
                _check(await http.delete(here))
            elif kind == 1:
                _check(await http.get("/v1/sessions"))
            elif kind == 2:
                _check(await http.post(f"{here}/interrupt"))
            else:
                await self._client.pass_time(self._random.choice((1, 20)))

    async def _listen(self) -> None:
        if self._sockets and self._chance():
            await self._sockets.pop().leave()
        elif made := self._any(self._made):
            kind = self._random.choice(("microphone_url", "audio_url", "events_url"))
            socket = self._client.socket(made[kind])
            if await socket.open():
                self._sockets.append(socket)

    async def _viewer(self) -> None:
        connection = self._any(self._client.runtime.connections)
        if connection is not None and not connection.closed and self._chance():
            self._random.choice((connection.show, connection.vanish))()
        elif made := self._any(self._made):
            answer = await self._client.http.post(made["whep_url"], content=OFFER, headers=SDP)
            _check(answer)

    async def _push(self) -> None:
        push = self._any(self._client.runtime.pushes)
        if push is not None and push.tried and not push.ended:
            lose = (lambda: push.lose("gone"), lambda: push.refuse("no"))
            self._random.choice((push.connect, *lose))()

    async def _room(self) -> None:
        room = self._any(self._client.runtime.rooms)
        if room is not None and not room.closed:
            kind = self._random.randrange(3)
            room.on_lost("it has ended") if kind == 2 else room.on_agent(kind == 1)

    def _chance(self) -> bool:
        return self._random.random() < 0.5

    def _any(self, items: list[Item]) -> Item | None:
        return self._random.choice(items) if items else None


def _check(answer: httpx.Response) -> None:
    assert answer.status_code < 500 or answer.status_code == 503, answer.text


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_to_sessions_nothing_is_left(tmp_path: Path, seed: int) -> None:
    async def test(client: AppClient) -> None:
        walk, manager = Walk(client, seed), client.manager
        for _ in range(ROUNDS):
            await asyncio.gather(*(walk.step() for _ in range(AT_ONCE)))
        await walk.end()
        assert len(manager) == len(manager.tokens) == 0
        assert all(room.closed for room in client.runtime.rooms)
        assert not any(push.connected.is_set() for push in client.runtime.pushes)
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not [name for name in names if name.startswith(("push", "end of", "shared"))]

    settings = ServeSettings(rate=0, record=tmp_path, livekit=(ROOMS,), push_to=(PUSHES,))
    cheap = FakeRuntime(parallelism=50, cost=Cost(0.1, 0.1, 0.1))
    run_client(test, settings, runtime=cheap)
    assert not list(tmp_path.glob(".*"))  # every recording is whole
