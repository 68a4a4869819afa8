"""A client of the whole application, which runs in the test's own event loop and on its clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from lipstream.avatar.avatar import Avatar
from lipstream.live.clock import ManualClock
from lipstream.server.app import create_app
from lipstream.server.avatars.stores.base import AvatarStore
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.sessions.session import ServerSession
from lipstream.server.settings import ServeSettings
from tests.fakes import blank_avatar
from tests.server.fake_runtime import OFFER, FakeConnection, FakeRuntime

BASE = "http://127.0.0.1:8080"
SDP = {"content-type": "application/sdp"}
PATIENCE_S = 20.0


@dataclass
class AppClient:
    """A running application, called over HTTP and WebSockets without a network."""

    app: FastAPI
    runtime: FakeRuntime
    clock: ManualClock
    http: httpx.AsyncClient

    @property
    def manager(self) -> SessionManager:
        found: SessionManager = self.app.state.manager
        return found

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
        return Socket(self.app, path, headers)

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
    settings = settings or ServeSettings(rate=0)
    runtime, clock = runtime or FakeRuntime(), ManualClock()
    shown = {"face": blank_avatar()} if avatars is None else avatars
    app = create_app(settings, avatars=shown, store=store, runtime=runtime, clock=clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=base, timeout=PATIENCE_S) as http,
    ):
        yield AppClient(app, runtime, clock, http)
    assert runtime.closed and all(session.closed for session in runtime.sessions)
    assert all(connection.closed for connection in runtime.connections)


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


@dataclass
class Socket:
    """The client's end of a WebSocket, message by message, without a network."""

    app: FastAPI
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    protocols: tuple[str, ...] = ()
    status: int | None = None  # of an HTTP response instead of an open socket
    body: bytes = b""
    accepted: str | None = None  # the subprotocol
    code: int | None = None  # with which the server closed

    def __post_init__(self) -> None:
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1)
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._read = asyncio.Event()
        self._read.set()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> bool:
        """True when the server accepted it."""
        path, _, query = self.path.partition("?")
        headers = {"host": "127.0.0.1:8080", **self.headers}
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "subprotocols": list(self.protocols),
            "client": ("127.0.0.1", 1),
            "extensions": {"websocket.http.response": {}},
            "state": {},
        }
        await self._to_app.put({"type": "websocket.connect"})
        self._task = asyncio.create_task(self.app(scope, self._to_app.get, self._take))
        message = await self._from_app.get()
        if message["type"] == "websocket.accept":
            self.accepted = message.get("subprotocol")
            return True
        self.status = message.get("status", 403)
        while message.get("more_body", message["type"].endswith("start")):
            message = await self._from_app.get()
            self.body += message.get("body", b"")
        await self._task
        return False

    async def send(self, message: bytes | str | dict[str, Any]) -> None:
        """Returns when the server has taken the message before."""
        if isinstance(message, bytes):
            await self._to_app.put({"type": "websocket.receive", "bytes": message})
        else:
            text = message if isinstance(message, str) else json.dumps(message)
            await self._to_app.put({"type": "websocket.receive", "text": text})

    async def next_event(self) -> dict[str, Any]:
        """The next event that is not `buffered`."""
        while True:
            event = await self.receive()
            if event["type"] != "buffered":
                return event

    async def receive(self) -> dict[str, Any]:
        """The next event; {"type": "close"} at the end."""
        message = await self._from_app.get()
        if message["type"] == "websocket.close":
            self.code = message["code"]
            return {"type": "close", "code": self.code}
        event: dict[str, Any] = json.loads(message["text"])
        return event

    async def receive_text(self) -> str:
        """The next text as it came; empty at the end."""
        message = await self._from_app.get()
        if message["type"] == "websocket.close":
            self.code = message["code"]
            return ""
        text: str = message["text"]
        return text

    def stop_reading(self) -> None:
        """From now on what the server sends is not taken."""
        self._read.clear()

    def read_on(self) -> None:
        """Take what the server sends again, and what it could not send meanwhile."""
        self._read.set()

    async def leave(self) -> None:
        """Close it as a client that is done, or that dies: it is the same to the server."""
        assert self._task is not None
        self._read.set()
        if not self._task.done():
            closing = asyncio.create_task(
                self._to_app.put({"type": "websocket.disconnect", "code": 1005})
            )
            await self._task
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
        await self._task

    async def _take(self, message: MutableMapping[str, Any]) -> None:
        await self._read.wait()
        await self._from_app.put(dict(message))
