"""Requests to workers: every one has a deadline, and none keeps more of a body than a piece."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
from starlette.types import Receive

from lipstream.cluster.front.headers import RawHeaders
from lipstream.server.errors import ApiError
from lipstream.server.settings import UploadLimits

CONNECT_S = 2.0
ANSWER_S = 15.0  # from the end of a request; a worker has 10 s for an offer
UPLOAD_S = UploadLimits().wall_s + 30.0  # the same of a file, which is decoded first
PROBE_S = 1.0
MAX_IDLE, IDLE_S = 64, 2.0  # connections that are kept; workers close idle ones after 5 s
RETRY_S = "2"
NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class ClientGoneError(Exception):
    """The client left before its request was complete."""


class RequestBody(httpx.AsyncByteStream):
    """A request's body, piece by piece as the client sends it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            more = message.get("more_body", False)
            if piece := message.get("body", b""):
                yield piece


async def whole_body(receive: Receive) -> bytes:
    """All of a body whose size `receive` limits."""
    return b"".join([piece async for piece in RequestBody(receive)])


class Upstream:
    """A client of all workers."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=MAX_IDLE, keepalive_expiry=IDLE_S
        )
        self._transport = transport or httpx.AsyncHTTPTransport(limits=limits, trust_env=False)

    async def send(
        self,
        url: str,
        method: str,
        target: str,
        headers: RawHeaders,
        body: bytes | RequestBody = b"",
        answer_s: float = ANSWER_S,
    ) -> httpx.Response:
        """The answer, whose body is still to be read; then it must be closed. Raises
        httpx.TransportError, and what `body` raises.

        `target` is the path and query as the client spelled them, so that nothing here reads them
        otherwise than the worker does.
        """
        times = {"connect": CONNECT_S, "read": answer_s, "write": ANSWER_S, "pool": CONNECT_S}
        request = httpx.Request(
            method,
            httpx.URL(url).copy_with(raw_path=target.encode("latin-1")),
            headers=headers,
            stream=httpx.ByteStream(body) if isinstance(body, bytes) else body,
            extensions={"timeout": times, "target": target.encode("latin-1")},
        )
        return await self._transport.handle_async_request(request)

    async def read_json(
        self, url: str, target: str, token: str | None, answer_s: float = PROBE_S
    ) -> Mapping[str, Any]:
        """The answer of a worker to the front itself. Raises httpx.TransportError, and ValueError
        for any other answer than JSON with status 200."""
        headers: RawHeaders = [(b"host", httpx.URL(url).netloc)]
        if token is not None:
            headers.append((b"authorization", b"Bearer " + token.encode()))
        answer = await self.send(url, "GET", target, headers, answer_s=answer_s)
        try:
            await answer.aread()
        finally:
            await answer.aclose()
        if answer.status_code != 200:
            raise ValueError(f"status {answer.status_code}")
        read = answer.json()
        if not isinstance(read, dict):
            raise ValueError("no object")
        return read

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


def is_refused(error: Exception) -> bool:
    """True when nobody listens at a worker's address: its process is gone."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def worker_gone() -> ApiError:
    """The worker that held a session has ended, and the session with it."""
    return ApiError(
        404,
        "the worker that held this session is gone, and so it is; open a new one.",
        "worker_gone",
    )


def worker_unreachable() -> ApiError:
    """A worker did not answer; it may be busy, on the way down, or cut off."""
    message = "the worker of this session does not answer; try again."
    return ApiError(503, message, "worker_unreachable", {"Retry-After": RETRY_S})


def no_workers() -> ApiError:
    """No worker is there, or none is known yet."""
    message = "no worker is ready; try again in a while."
    return ApiError(503, message, "no_workers", {"Retry-After": RETRY_S})


def no_room() -> ApiError:
    """No worker has room for one more session."""
    message = "all places are taken; try again in a while."
    return ApiError(503, message, "full", {"Retry-After": "10"})
