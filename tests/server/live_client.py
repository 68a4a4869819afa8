"""A client of the whole application with real sessions, and the speech that tests send it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.engine import Engine
from lipstream.live.clock import MonotonicClock
from lipstream.live.session.types import Unit
from lipstream.server.app import create_app
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.settings import ServeSettings
from lipstream.speech.synthesis.base import Synthesizer
from tests.media_files import tone
from tests.server.app_client import open_http
from tests.server.app_socket import Socket
from tests.server.fronts import open_front_before, own_settings
from tests.server.known_cost import KnownCostRuntime

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp

PATIENCE_S = 60.0
RATE = 24_000


@dataclass
class LiveClient:
    """A running application with real sessions."""

    app: FastAPI
    http: httpx.AsyncClient
    worker: httpx.AsyncClient  # never through a front
    asked: ASGIApp  # the application, or the front before it
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def open(self, avatar: str = "face") -> tuple[str, list[Unit]]:
        """A session somebody looks at without WebRTC: its id and the units that come."""
        answer = await self.http.post("/v1/sessions", json={"avatar": avatar})
        assert answer.status_code == 201, answer.text
        session = self.app.state.manager.find(answer.json()["id"])
        units: list[Unit] = []

        async def look() -> None:
            async for unit in session.units():
                units.append(unit)

        self.tasks.append(asyncio.create_task(look()))
        return session.id, units

    def socket(self, session_id: str, rate: int) -> Socket:
        return Socket(self.asked, f"/v1/sessions/{session_id}/audio?sample_rate={rate}")

    async def open_socket(self, session_id: str) -> Socket:
        socket = self.socket(session_id, RATE)
        assert await socket.open()
        return socket


@asynccontextmanager
async def open_live(
    engine: Engine,
    avatars: dict[str, Avatar],
    settings: ServeSettings | None = None,
    synthesizer: Synthesizer | None = None,
    measures: bool = False,
) -> AsyncIterator[LiveClient]:
    """A client of an application that shows `avatars` with `engine`, and with `measures` finds out
    what they cost."""
    settings = own_settings(settings or ServeSettings(rate=0, connect_timeout_s=600))
    runtime = (MediaRuntime if measures else KnownCostRuntime)(engine, settings)
    app = create_app(settings, None, avatars, synthesizer=synthesizer, runtime=runtime)
    async with (
        app.router.lifespan_context(app),
        open_front_before(app, settings, MonotonicClock()) as asked,
        open_http(asked) as http,
        open_http(app) as worker,
    ):
        live = LiveClient(app, http, worker, asked)
        try:
            yield live
        finally:
            await app.state.manager.close_all("test")
            await asyncio.gather(*live.tasks)


def run_live(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `test` on an event loop of its own, within `PATIENCE_S`."""

    async def bounded() -> None:
        await asyncio.wait_for(test(), PATIENCE_S)

    asyncio.run(bounded())


async def send_tone(socket: Socket, seconds: float) -> None:
    """Send so much sound, cut in the middle of samples."""
    data = np.asarray(tone(seconds, RATE) * 20_000, np.int16).tobytes()
    for start in range(0, len(data), 4_801):
        await socket.send(data[start : start + 4_801])


async def event_of_speech(socket: Socket) -> dict[str, Any]:
    """The next event but `queued`."""
    while (event := await socket.next_event())["type"] == "queued":
        pass
    return event


def spoken_ms(units: list[Unit]) -> int:
    """Milliseconds of speech given out."""
    return 40 * sum(unit.speaking for unit in units)


def in_order(units: list[Unit]) -> bool:
    """True when no unit came twice or after a later one."""
    indices = [unit.index for unit in units]
    return indices == sorted(set(indices))
