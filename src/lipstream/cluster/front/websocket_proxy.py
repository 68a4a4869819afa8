"""One WebSocket, passed on to the worker that holds its session, both ways and with back pressure.

Each side is read no faster than the other takes it: a message is received when the one before was
written, and a client that takes none is left. Close codes go through; a worker that vanishes is
1011.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Origin, Subprotocol

from lipstream.cluster.front.headers import forwarded, returned
from lipstream.cluster.front.http_proxy import HttpProxy
from lipstream.cluster.front.routing import worker_of_socket
from lipstream.cluster.front.upstream import CONNECT_S, no_workers, worker_unreachable
from lipstream.cluster.front.watch import LoadWatch
from lipstream.server.dialects.simli import addresses as simli
from lipstream.server.http.http_protocol import STALL_S
from lipstream.server.security.access import ADMITTED

MAX_EVENT_BYTES = 1 << 20  # of a worker's message
MAX_CONTROL = 256  # characters of a message that may end an utterance
CLOSE_S = 3.0  # for the closing of a client that may not read it
POLICY, VANISHED, NO_CODE, LOST = 1008, 1011, 1005, 1006  # RFC 6455, section 7.4.1
OF_HANDSHAKE = (
    b"host",
    b"origin",
    b"sec-websocket-key",
    b"sec-websocket-version",
    b"sec-websocket-protocol",
    b"sec-websocket-extensions",
)


class Abortable(Protocol):
    """A transport."""

    def abort(self) -> None:
        """Close it at once, without what is still to be sent."""


class WorkerSocket(Protocol):
    """An open WebSocket at a worker, as the websockets library has it."""

    @property
    def transport(self) -> Abortable: ...
    @property
    def subprotocol(self) -> str | None: ...
    @property
    def close_code(self) -> int | None: ...
    @property
    def close_reason(self) -> str | None: ...
    async def send(self, message: bytes | str, /) -> None: ...
    def __aiter__(self) -> AsyncIterator[bytes | str]: ...
    async def close(self, code: int = 1000, reason: str = "") -> None: ...


Connect: TypeAlias = Callable[[Scope, str, int], Awaitable[WorkerSocket]]


async def connect_worker(scope: Scope, host: str, port: int) -> WorkerSocket:
    """Open the socket at a worker, which sees the client's own Host and Origin.

    Raises InvalidStatus with its refusal, OSError and InvalidHandshake where it cannot be asked.
    """
    given = Headers(scope=scope)
    query = scope.get("query_string", b"").decode("latin-1")
    target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in forwarded(scope, without=OF_HANDSHAKE)
    ]
    protocols = [Subprotocol(name) for name in scope.get("subprotocols", ())]
    origin = given.get("origin")
    return await connect(
        f"ws://{given.get('host', host)}{target}",
        host=host,
        port=port,
        origin=None if origin is None else Origin(origin),
        subprotocols=protocols or None,
        additional_headers=headers,
        user_agent_header=None,
        compression=None,
        proxy=None,
        open_timeout=CONNECT_S + CONNECT_S,
        ping_interval=None,  # the worker pings
        close_timeout=CONNECT_S,
        max_size=MAX_EVENT_BYTES,
        max_queue=4,
    )


class WebSocketProxy:
    """Passes WebSockets on; `speaking` are those in the middle of an utterance."""

    def __init__(
        self, watch: LoadWatch, http: HttpProxy, connect: Connect = connect_worker
    ) -> None:
        self._watch, self._http, self._connect = watch, http, connect
        self._open: dict[_Pair, None] = {}

    @property
    def speaking(self) -> int:
        """Sockets whose client has begun to send an utterance and not ended it."""
        return sum(pair.speaking for pair in self._open)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the socket on. Raises ApiError where it was not opened."""
        worker = worker_of_socket(scope["path"], scope.get("query_string", b""))
        urls = self._watch.placement.any_order() or list(self._watch.urls)
        if worker is None and not urls:
            raise no_workers()
        worker = worker or urls[0]
        url = urlsplit(self._http.url_of(worker))
        await receive()  # websocket.connect
        try:
            upstream = await self._connect(scope, str(url.hostname), url.port or 80)
        except InvalidStatus as refusal:
            await _deny(scope, refusal, send)
            return
        except (OSError, InvalidHandshake, EOFError) as error:  # TimeoutError is an OSError
            raise await self._http.lost(worker, error) from error
        except asyncio.TimeoutError as error:  # which it is not before Python 3.11
            raise worker_unreachable() from error
        scope[ADMITTED] = True
        pair = _Pair(upstream, receive, send, says_end=scope["path"] != simli.SOCKET)
        self._open[pair] = None
        try:
            await pair.run()
        finally:
            del self._open[pair]


async def _deny(scope: Scope, refusal: InvalidStatus, send: Send) -> None:
    """The worker's refusal, as it said it."""
    answer = refusal.response
    raw = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in answer.headers.raw_items()
    ]
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    start = {"type": "websocket.http.response.start", "status": answer.status_code}
    await send({**start, "headers": returned(raw)})
    await send({"type": "websocket.http.response.body", "body": bytes(answer.body or b"")})


class _Pair:
    """The two ends of one socket."""

    def __init__(
        self, upstream: WorkerSocket, receive: Receive, send: Send, *, says_end: bool
    ) -> None:
        """`says_end`: the client ends its utterances; else its worker says when it speaks."""
        self._upstream, self._receive, self._send = upstream, receive, send
        self._says_end = says_end
        self._closed = False  # towards the client
        self.speaking = False

    async def run(self) -> None:
        """Pass messages on until either end closes."""
        await self._send({"type": "websocket.accept", "subprotocol": self._upstream.subprotocol})
        tasks = [asyncio.create_task(self._to_worker()), asyncio.create_task(self._to_client())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # the front ends; the worker may be reading nothing
            self._upstream.transport.abort()
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._upstream.close()

    async def _to_worker(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                await self._leave(message.get("code", NO_CODE), message.get("reason") or "")
                return
            data, text = message.get("bytes"), message.get("text")
            self._note(data, text)
            try:
                await self._upstream.send(data if data is not None else text or "")
            except ConnectionClosed:
                await self._close_as_worker()
                return

    async def _to_client(self) -> None:
        try:
            async for message in self._upstream:
                kind = "text" if isinstance(message, str) else "bytes"
                if not self._says_end and message in (simli.SPEAK, simli.SILENT):
                    self.speaking = message == simli.SPEAK
                sending = self._send({"type": "websocket.send", kind: message})
                await asyncio.wait_for(sending, STALL_S)
        except ConnectionClosed:
            pass
        except asyncio.TimeoutError:
            await self._close(POLICY, "events are not read")
            return
        await self._close_as_worker()

    async def _leave(self, code: int, reason: str) -> None:
        """The client has closed, or is gone: tell the worker so."""
        self._closed = True
        plain = code in (NO_CODE, LOST)
        await self._upstream.close(1000 if plain else code, "" if plain else reason)

    async def _close_as_worker(self) -> None:
        code, reason = self._upstream.close_code, self._upstream.close_reason
        if code in (None, LOST):
            await self._close(VANISHED, "the worker of this session is gone")
        else:
            await self._close(1000 if code == NO_CODE else int(code or 1000), reason or "")

    async def _close(self, code: int, reason: str) -> None:
        if not self._closed:
            self._closed = True
            closing = self._send({"type": "websocket.close", "code": code, "reason": reason})
            with contextlib.suppress(asyncio.TimeoutError):  # of a client that reads nothing
                await asyncio.wait_for(closing, CLOSE_S)

    def _note(self, data: bytes | None, text: str | None) -> None:
        """Keep whether the client is in the middle of an utterance."""
        if not self._says_end:
            return
        if data is not None:
            self.speaking = True
        elif text is not None and len(text) <= MAX_CONTROL:
            try:
                read: Any = json.loads(text)
            except ValueError:  # which the worker refuses
                return
            if isinstance(read, dict) and read.get("type") in ("end", "interrupt"):
                self.speaking = False
