"""Token buckets per client, and request bodies limited in size and in time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from starlette.types import Message, Receive

from lipstream.live.clock import Clock
from lipstream.server.errors import ApiError
from lipstream.server.token_bucket import TokenBucket

MAX_CLIENTS = 4096  # remembered; the one not seen for longest is forgotten first
CHUNK_TIMEOUT_S = 20.0  # a body must go on within this
MIN_BYTES_PER_S = 16 * 1024  # of a body, on average, beside that time


class Buckets:
    """A token bucket per client: `rate` per second, `burst` at once. A rate of 0 is no limit."""

    def __init__(self, rate: float, burst: float, clock: Clock) -> None:
        self._rate, self._burst = rate, burst
        self._seconds = lambda: clock.now_ms() / 1000
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, client: str) -> float:
        """Take a token: 0, or the seconds until one is available."""
        if self._rate <= 0:
            return 0.0
        bucket = self._buckets.pop(client, None)
        bucket = bucket or TokenBucket(self._rate, self._burst, self._seconds)
        self._buckets[client] = bucket
        while len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if bucket.take() else bucket.wait_s()


class MeteredBody:
    """A request's body, counted as it comes: where it is read, ApiError 413 beyond `limit` bytes,
    so that no more is ever held, and 408 when it stalls or drips."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._received = 0
        self._complete = False
        self._since: float | None = None  # when the body was first asked for

    async def __call__(self) -> Message:
        if self._complete:  # what follows is the end of the connection, whenever that comes
            return await self._receive()
        now = asyncio.get_running_loop().time()
        self._since = now if self._since is None else self._since
        left = CHUNK_TIMEOUT_S + self._received / MIN_BYTES_PER_S - (now - self._since)
        try:
            message = await asyncio.wait_for(self._receive(), min(max(left, 0), CHUNK_TIMEOUT_S))
        except asyncio.TimeoutError:
            self._complete = True
            raise ApiError(
                408, "the body of the request came too slowly.", headers={"Connection": "close"}
            ) from None
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._received > self._limit:
                raise too_large(self._limit)
        return message


def too_large(limit: int) -> ApiError:
    """The refusal of a body beyond `limit` bytes."""
    size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"
    return ApiError(
        413, f"the request is larger than {size}; send less.", headers={"Connection": "close"}
    )
