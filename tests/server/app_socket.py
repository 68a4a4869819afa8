"""Both ends of a WebSocket of an application of this process, without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Scope
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from lipstream.cluster.front.headers import forwarded


@dataclass
class Socket:
    """The client's end of a WebSocket, message by message, without a network."""

    app: ASGIApp
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    protocols: tuple[str, ...] = ()
    read_ahead: int = 0  # messages of the server that may wait; 0: any number
    status: int | None = None  # of an HTTP response instead of an open socket
    answered: list[tuple[bytes, bytes]] = field(default_factory=list)  # its headers
    body: bytes = b""
    accepted: str | None = None  # the subprotocol
    code: int | None = None  # with which the server closed
    reason: str | None = None

    def __post_init__(self) -> None:
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1)
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue(self.read_ahead)
        self._read = asyncio.Event()
        self._read.set()
        self._task: asyncio.Future[None] | None = None

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
        self._task = asyncio.ensure_future(self.app(scope, self._to_app.get, self._take))
        message = await self._from_app.get()
        if message["type"] == "websocket.accept":
            self.accepted = message.get("subprotocol")
            return True
        self.status, self.answered = message.get("status", 403), message.get("headers", [])
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
        message = await self.receive_message()
        if message is None:
            return {"type": "close", "code": self.code}
        event: dict[str, Any] = json.loads(message)
        return event

    async def receive_message(self) -> str | bytes | None:
        """The next message as it is; None at the end."""
        message = await self._from_app.get()
        if message["type"] != "websocket.close":
            found: str | bytes = message["text"] if "text" in message else message["bytes"]
            return found
        self.code, self.reason = message["code"], message.get("reason", "")
        return None

    async def receive_text(self) -> str:
        """The next text as it came; empty at the end."""
        return str(await self.receive_message() or "")

    async def receive_bytes(self) -> bytes:
        """The next message, which must be bytes."""
        message = await self.receive_message()
        assert isinstance(message, bytes), message
        return message

    def stop_reading(self) -> None:
        """From now on what the server sends is not taken."""
        self._read.clear()

    def read_on(self) -> None:
        """Take what the server sends again, and what it could not send meanwhile."""
        self._read.set()

    async def leave(self, code: int = 1005) -> None:
        """Close it as a client that is done, or that dies: it is the same to the server."""
        assert self._task is not None
        self._read.set()
        if not self._task.done():
            closing = asyncio.create_task(
                self._to_app.put({"type": "websocket.disconnect", "code": code})
            )
            try:
                await asyncio.shield(self._task)  # who gives up the waiting cancels no application
            finally:
                closing.cancel()
                await asyncio.gather(closing, return_exceptions=True)
        await asyncio.shield(self._task)

    async def _take(self, message: MutableMapping[str, Any]) -> None:
        await self._read.wait()
        await self._from_app.put(dict(message))


class WorkerEnd:
    """The end of a front, at its worker: what a front uses of the websockets library's sockets."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self.subprotocol = socket.accepted
        self.transport = self

    def abort(self) -> None:
        """There is no transport."""

    @property
    def close_code(self) -> int | None:
        return self._socket.code

    @property
    def close_reason(self) -> str | None:
        return self._socket.reason

    async def send(self, message: bytes | str) -> None:
        await self._socket.send(message)

    async def __aiter__(self) -> AsyncIterator[bytes | str]:
        while (message := await self._socket.receive_message()) is not None:
            yield message

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._socket.leave(code)


async def connect_app(app: ASGIApp, scope: Scope) -> WorkerEnd:
    """Open a front's socket at the application that is its worker."""
    query = scope["query_string"].decode()
    headers = {name.decode(): value.decode() for name, value in forwarded(scope)}
    path = scope["path"] + (f"?{query}" if query else "")
    socket = Socket(app, path, headers, tuple(scope["subprotocols"]), read_ahead=1)
    if await socket.open():
        return WorkerEnd(socket)
    told = [(name.decode(), value.decode()) for name, value in socket.answered]
    raise InvalidStatus(Response(socket.status or 403, "", Headers(told), socket.body))
