"""Rooms of a small LiveKit server in a process of its own, and what came to it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from livekit import api

ROOT = Path(__file__).resolve().parents[3]
KEY, SECRET = "devkey", "a-secret-of-32-characters-0123456"


@dataclass(frozen=True, slots=True)
class Heard:
    """20 ms of sound that came."""

    at: float  # time.monotonic()
    rtp_s: float  # its own time
    loudness: float  # mean of the absolute samples, 16 bits


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture that came."""

    at: float  # time.monotonic()
    rtp_s: float  # its own time
    width: int
    height: int
    luma: float  # mean, 0 to 255


@dataclass(frozen=True, slots=True)
class Measured:
    """A participant, and all that came of it."""

    here: bool
    heard: list[Heard]
    seen: list[Seen]
    attributes: dict[str, str]


class Rooms:
    """The server, asked over HTTP."""

    def __init__(self, port: int, http: httpx.AsyncClient) -> None:
        self.url = f"ws://127.0.0.1:{port}"
        self._http = http

    async def measured(self, identity: str, room: str = "room") -> Measured:
        """What came of a participant, if it is there."""
        query = {"identity": identity, "room": room}
        told: dict[str, Any] = (await self._http.get("/measured", params=query)).json()
        heard, seen = [Heard(*one) for one in told["heard"]], [Seen(*one) for one in told["seen"]]
        return Measured(told["here"], heard, seen, told.get("attributes", {}))

    async def sees(self, identity: str, room: str = "room") -> None:
        """Return once a picture has come. The test's own timeout ends it."""
        while not (await self.measured(identity, room)).seen:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def is_here(self, identity: str, room: str = "room") -> bool:
        """True while a participant is there."""
        return (await self.measured(identity, room)).here

    async def left(self, identity: str, room: str = "room") -> None:
        """Return once a participant is not there."""
        while await self.is_here(identity, room):  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def remove(self, identity: str, room: str = "room") -> None:
        """Throw a participant out, as an operator does."""
        await self._http.post("/remove", params={"identity": identity, "room": room})

    async def fall_silent(self) -> None:
        """Accept whoever comes, and answer nobody."""
        await self._http.post("/mute")


@contextlib.asynccontextmanager
async def open_rooms() -> AsyncIterator[Rooms]:
    """A server of its own."""
    command = (sys.executable, "-m", "tests.integrations.livekit.sfu")
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None and process.stdout is not None
    try:
        port = int(await asyncio.wait_for(process.stdout.readline(), 30.0))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20.0) as http:
            yield Rooms(port, http)
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10.0)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()


def token(identity: str, room: str = "room", *, secret: str = SECRET, **grants: Any) -> str:
    """A participant's access to a room."""
    made = api.AccessToken(KEY, secret).with_identity(identity).with_kind("agent")
    made = made.with_grants(api.VideoGrants(room_join=True, room=room, **grants))
    return str(made.to_jwt())
