"""A client of the whole application, which runs in the test's own event loop and on its clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp

from lipstream.avatar.avatar import Avatar
from lipstream.live.clock import ManualClock
from lipstream.server.app import create_app
from lipstream.server.avatars.stores.base import AvatarStore
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.sessions.session import ServerSession
from lipstream.server.settings import ServeSettings
from tests.fakes import blank_avatar
from tests.server.app_socket import Socket
from tests.server.fake_runtime import OFFER, FakeConnection, FakeRuntime
from tests.server.fronts import open_front_before, own_settings

BASE = "http://127.0.0.1:8080"
SDP = {"content-type": "application/sdp"}
PATIENCE_S = 20.0


@dataclass
class AppClient:
    """A running application, called over HTTP and WebSockets without a network.

    `http` leads through a front where the tests are run so; `worker` never does, for what a worker
    tells of itself alone.
    """

    app: FastAPI
    runtime: FakeRuntime
    clock: ManualClock
    http: httpx.AsyncClient
    worker: httpx.AsyncClient
    asked: ASGIApp  # the application, or the front before it

    @property
    def manager(self) -> SessionManager:
        found: SessionManager = self.app.state.manager
        return found

    async def metrics(self) -> str:
        """The figures of the application itself."""
        return (await self.worker.get("/metrics", headers=self.http.headers)).text

    async def open(self, avatar: str = "face") -> dict[str, Any]:
        """A new session."""
        answer = await self.http.post("/v1/sessions", json={"avatar": avatar})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def connect(self, session: Mapping[str, Any]) -> FakeConnection:
        """A viewer who sees the first picture."""
        answer = await self.http.post(session["whep_url"], content=OFFER, headers=SDP)
        assert answer.status_code == 201, answer.text
        connection = self.runtime.connections[-1]
        connection.show()
        return connection

    def session(self, session: Mapping[str, Any]) -> ServerSession:
        return self.manager.find(session["id"])

    async def pass_time(self, seconds: float) -> None:
        """Move the clock, and run what is due."""
        for _ in range(round(seconds * 2)):
            self.clock.advance(500)
            await settle()

    def socket(self, path: str, **headers: str) -> Socket:
        """A WebSocket of this application, not yet open."""
        return Socket(self.asked, path, headers)

    async def open_socket(self, session: Mapping[str, Any], rate: int | None = None) -> Socket:
        """The open WebSocket of a session."""
        query = "" if rate is None else f"?sample_rate={rate}"
        socket = self.socket(session["audio_url"] + query)
        await socket.open()
        return socket


@asynccontextmanager
async def open_client(
    settings: ServeSettings | None = None,
    avatars: Mapping[str, Avatar] | None = None,
    runtime: FakeRuntime | None = None,
    base: str = BASE,
    store: AvatarStore | None = None,
) -> AsyncIterator[AppClient]:
    """By default one avatar called face, no token, and no limit to how often one may ask."""
    settings = own_settings(settings or ServeSettings(rate=0))
    runtime, clock = runtime or FakeRuntime(), ManualClock()
    shown = {"face": blank_avatar()} if avatars is None else avatars
    app = create_app(settings, avatars=shown, store=store, runtime=runtime, clock=clock)
    async with (
        app.router.lifespan_context(app),
        open_front_before(app, settings, clock) as asked,
        open_http(asked, base) as http,
        open_http(app, base) as worker,
    ):
        yield AppClient(app, runtime, clock, http, worker, asked)
    assert runtime.closed and all(session.closed for session in runtime.sessions)
    assert all(connection.closed for connection in runtime.connections)


def open_http(app: ASGIApp, base: str = BASE) -> httpx.AsyncClient:
    """A client of an application of this process."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=base, timeout=PATIENCE_S)


def run_client(
    test: Callable[[AppClient], Awaitable[None]],
    settings: ServeSettings | None = None,
    **others: Any,
) -> None:
    """Run `test` with a client of an application of its own."""

    async def run() -> None:
        async with open_client(settings, **others) as client:
            await asyncio.wait_for(test(client), PATIENCE_S)

    asyncio.run(run())


async def settle(turns: int = 20) -> None:
    """Run whatever is ready on the event loop."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(true: Callable[[], bool]) -> None:
    """Return when `true()`; for what threads and processes do. The test's own timeout ends it."""
    while not true():  # noqa: ASYNC110 (threads and processes set no event)
        await asyncio.sleep(0.01)
