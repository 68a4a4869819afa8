"""Workers behind a front that run, and viewers who are spoken to through it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import psutil  # type: ignore[import-untyped]
from websockets.asyncio.client import ClientConnection, connect

from tests.media_files import tone
from tests.server.app_client import SDP
from tests.server.viewers import Viewer

RATE = 24_000
SPEECH_S = 4
PATIENCE_S = 60.0


@dataclass(frozen=True)
class LiveCluster:
    """A front's address; all processes are descendants of `root`."""

    url: str
    root: psutil.Process
    token: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Those of a client."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def process_of(self, worker: str) -> psutil.Process:
        """The process of `lipstream serve` with this id."""
        for process in self.root.children(recursive=True):
            command = process.cmdline()
            if "--worker-id" in command and command[command.index("--worker-id") + 1] == worker:
                return process
        raise AssertionError(f"{worker} has no process")

    def run(self, scenario: Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]) -> None:
        """Run a scenario with a client of the front."""

        async def bounded() -> None:
            async with httpx.AsyncClient(
                base_url=self.url, timeout=PATIENCE_S, headers=self.headers
            ) as client:
                await asyncio.wait_for(scenario(client), 3 * PATIENCE_S)

        asyncio.run(bounded())


@dataclass
class Spoken:
    """A viewer who is spoken to through a front."""

    id: str
    viewer: Viewer
    socket: ClientConnection
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def worker(self) -> str:
        return self.id[33:]

    async def until(self, kind: str) -> dict[str, Any]:
        """The next event of this kind."""
        while True:
            event: dict[str, Any] = json.loads(await self.socket.recv())
            self.events.append(event)
            if event["type"] == kind:
                return event

    async def speak(self, seconds: int = SPEECH_S) -> None:
        """Send some seconds, and return when the first of them is heard."""
        pcm = np.asarray(tone(seconds, RATE) * 9_000, np.int16).tobytes()
        for start in range(0, len(pcm), 48_000):
            await self.socket.send(pcm[start : start + 48_000])
        await self.socket.send('{"type": "end"}')
        await self.until("started")

    async def hear_all(self, seconds: int = SPEECH_S) -> None:
        """Return when what was sent has been spoken to its end."""
        ended = await self.until("ended")
        assert ended["played_ms"] == 1000 * seconds
        assert not [event for event in self.events if event["type"] == "error"]


@asynccontextmanager
async def spoken_to(client: httpx.AsyncClient) -> AsyncIterator[Spoken]:
    """Open a session and see its pictures."""
    answer = await client.post("/v1/sessions", json={"avatar": "face"})
    assert answer.status_code == 201, answer.text
    made, viewer = answer.json(), Viewer()
    url = str(client.base_url).rstrip("/").replace("http", "ws") + made["audio_url"]
    token = client.headers.get("authorization")
    try:
        offer = await viewer.offer()
        answer = await client.post(made["whep_url"], content=offer, headers=SDP)
        assert answer.status_code == 201, answer.text
        await viewer.take(answer.text)
        await viewer.until(10, PATIENCE_S)
        headers = {} if token is None else {"Authorization": token}
        async with connect(url, additional_headers=headers) as socket:
            yield Spoken(made["id"], viewer, socket)
    finally:
        await viewer.close()


@asynccontextmanager
async def two(client: httpx.AsyncClient) -> AsyncIterator[tuple[Spoken, Spoken]]:
    """Two viewers, one of each worker."""
    async with spoken_to(client) as one, spoken_to(client) as other:
        assert one.worker != other.worker
        yield one, other


async def names(client: httpx.AsyncClient) -> set[str]:
    """The workers that answer."""
    return {one["labels"]["worker"] for one in (await client.get("/v1/cluster")).json()}


async def ready(client: httpx.AsyncClient, count: int, without: Collection[str] = ()) -> None:
    """Return when there are so many workers, not counting those."""
    while len(await names(client) - {*without}) < count:  # noqa: ASYNC110 (processes set no event)
        await asyncio.sleep(0.05)


async def end_sessions(client: httpx.AsyncClient) -> None:
    """End those whose viewers left without a word."""
    for one in (await client.get("/v1/sessions")).json()["sessions"]:
        await client.delete(f"/v1/sessions/{one['id']}")
