"""The common part of a session's WebSockets: messages out, and one end, whoever makes it."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from lipstream.server.errors import ApiError
from lipstream.server.security.access import bearer_protocol

CLOSE_S = 2.0

GOING_AWAY, POLICY, TOO_BIG = 1001, 1008, 1009  # RFC 6455, section 7.4.1

USELESS = "this socket takes no messages; speak by .../audio"


async def serve_socket(
    socket: WebSocket, open_sender: Callable[[contextlib.ExitStack], SocketSender]
) -> None:
    """Accept a WebSocket that is only sent to, and send until it ends; then what `open_sender` has
    put on the stack ends too. It is refused where that raises an ApiError."""
    with contextlib.ExitStack() as stack:
        try:
            sender = open_sender(stack)
        except ApiError as refusal:
            await socket.send_denial_response(refusal.response())
            return
        await socket.accept(subprotocol=bearer_protocol(socket.scope.get("subprotocols", ())))
        await sender.run(sender.refuse_messages(USELESS))


def sample_rate(socket: WebSocket, rates: Sequence[int], default: int) -> int:
    """The query's `sample_rate`, in Hz; ApiError 422 for one that is not of `rates`."""
    text = socket.query_params.get("sample_rate", str(default))
    known = [str(rate) for rate in rates]
    if text not in known:
        raise ApiError(422, f"sample_rate: {text[:20]!r} is not supported; use {', '.join(known)}.")
    return int(text)


class SocketSender(ABC):
    """Sends to one WebSocket until either side ends it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._over: asyncio.Future[tuple[int, str] | None] = asyncio.Future()

    @property
    def over(self) -> bool:
        """True once either side has ended it."""
        return self._over.done()

    async def run(self, receiving: Coroutine[Any, Any, None]) -> None:
        """Send, beside the coroutine `receiving`, until `finish`; then close the socket."""
        tasks = [asyncio.create_task(receiving), asyncio.create_task(self._send_all())]
        try:
            waited: list[asyncio.Future[Any]] = [*tasks, self._over]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.finish(None)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error  # a fault of ours
        if (ending := self._over.result()) is not None:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError, asyncio.TimeoutError):
                await asyncio.wait_for(self._socket.close(*ending), CLOSE_S)

    def leave(self) -> None:
        """Close the socket, as the session ends."""
        self.finish((GOING_AWAY, "the session has ended"))

    def finish(self, ending: tuple[int, str] | None) -> None:
        """Let `run` return: with a close code, or None when the client has closed."""
        if not self._over.done():
            self._over.set_result(ending)

    async def refuse_messages(self, reason: str) -> None:
        """Receive until the client closes, or sends anything, which is refused for `reason`."""
        while (await self._socket.receive())["type"] != "websocket.disconnect":
            self.finish((POLICY, reason))
        self.finish(None)

    @abstractmethod
    async def _send_all(self) -> None:
        """Send what there is to send, until `over`."""

    async def _send(self, message: str | bytes) -> bool:
        """Send a message; False when the client has closed."""
        try:
            if isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_text(message)
        except (WebSocketDisconnect, RuntimeError):  # closed, before the receiver notices it
            self.finish(None)
            return False
        return True
