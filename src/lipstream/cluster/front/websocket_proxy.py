"""One WebSocket, passed on to the worker that holds its session, both ways and with back pressure.

Each side is read no faster than the other takes it: a message is received when the one before was
written. Close codes go through; a worker that vanishes is 1011.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Origin, Subprotocol

from lipstream.cluster.front.headers import forwarded, returned
from lipstream.cluster.front.http_proxy import HttpProxy
from lipstream.cluster.front.routing import worker_of_socket
from lipstream.cluster.front.upstream import CONNECT_S, no_workers, worker_unreachable
from lipstream.cluster.front.watch import LoadWatch
from lipstream.server.dialects.simli import addresses as simli
from lipstream.server.security.access import ADMITTED

MAX_EVENT_BYTES = 1 << 20  # of a worker's message
MAX_CONTROL = 256  # characters of a message that may end an utterance
VANISHED, NO_CODE, LOST = 1011, 1005, 1006  # RFC 6455, section 7.4.1
OF_HANDSHAKE = (
    b"host",
    b"origin",
    b"sec-websocket-key",
    b"sec-websocket-version",
    b"sec-websocket-protocol",
    b"sec-websocket-extensions",
)


class WebSocketProxy:
    """Passes WebSockets on; `speaking` are those in the middle of an utterance."""

    def __init__(self, watch: LoadWatch, http: HttpProxy) -> None:
        self._watch, self._http = watch, http
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
            upstream = await _connect(scope, str(url.hostname), url.port or 80)
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


async def _connect(scope: Scope, host: str, port: int) -> ClientConnection:
    """The socket at the worker, which sees the client's own Host and Origin."""
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
        self, upstream: ClientConnection, receive: Receive, send: Send, *, says_end: bool
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
        with contextlib.suppress(ConnectionClosed):
            async for message in self._upstream:
                kind = "text" if isinstance(message, str) else "bytes"
                if not self._says_end and message in (simli.SPEAK, simli.SILENT):
                    self.speaking = message == simli.SPEAK
                await self._send({"type": "websocket.send", kind: message})
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
            await self._send({"type": "websocket.close", "code": code, "reason": reason})

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
