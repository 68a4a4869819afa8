"""Posts events to one URL, in the background: nothing that is live ever waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import httpx

from lipstream.server.webhooks.signature import key_of, signed_headers

MAX_QUEUED = 256  # events; the oldest is dropped, and counted
ANSWER_S = 5.0  # for one try, from the connection to the status of the answer
BACK_OFF_S = (1.0, 4.0)  # before the second and the third try
FLUSH_S = 1.0  # at the end of the server, for what waits

log = logging.getLogger("lipstream.server")


class WebhookSender:
    """Sends each event up to three times, one after the other, in the order in which they happened.

    An event is delivered when the answer's status is 2xx; redirects are not followed and no body is
    read. The same event has the same `webhook-id` at each try.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        on_outcome: Callable[[str], None],
        back_off_s: Sequence[float] = BACK_OFF_S,
    ) -> None:
        """`on_outcome` is told of each event `delivered`, `failed` or `dropped`. OptionError for a
        wrong secret."""
        self._url, self._key = url, key_of(secret)
        self._on_outcome, self._back_off_s = on_outcome, back_off_s
        self._queue: deque[tuple[str, bytes]] = deque()  # id and body
        self._queued, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def put(self, event: str, data: Mapping[str, Any]) -> None:
        """Queue an event. Returns at once, always."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = json.dumps({"type": event, "timestamp": now, "data": dict(data)}).encode()
        while len(self._queue) >= MAX_QUEUED:
            self._queue.popleft()
            self._on_outcome("dropped")
        self._queue.append((f"msg_{secrets.token_hex(12)}", body))
        self._queued.set()
        self._idle.clear()

    def start(self) -> asyncio.Task[None]:
        """Begin to deliver, on the running event loop, by the task that is returned: until `close`.
        OSError or ValueError when the environment names certificates or a proxy that are none."""
        # A try as a whole has `ANSWER_S`.
        client = httpx.AsyncClient(timeout=None, follow_redirects=False)
        self._task = asyncio.create_task(self._run(client), name="webhooks")
        return self._task

    async def close(self) -> None:
        """Wait until all was delivered, for `FLUSH_S` at most; what is left is dropped."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), FLUSH_S)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        while self._queue:
            self._queue.popleft()
            self._on_outcome("dropped")

    async def _run(self, client: httpx.AsyncClient) -> None:
        async with client:
            while True:
                await self._queued.wait()
                while self._queue:
                    delivered = await self._deliver(client, *self._queue.popleft())
                    self._on_outcome("delivered" if delivered else "failed")
                self._queued.clear()
                self._idle.set()

    async def _deliver(self, client: httpx.AsyncClient, message_id: str, body: bytes) -> bool:
        reason = ""
        for wait_s in (0.0, *self._back_off_s):
            await asyncio.sleep(wait_s)
            reason = await self._post(client, message_id, body)
            if not reason:
                return True
        log.warning("webhook failed", extra={"webhook": message_id, "reason": reason})
        return False

    async def _post(self, client: httpx.AsyncClient, message_id: str, body: bytes) -> str:
        """The reason why it was not delivered; empty when it was. Names neither URL nor secret."""
        headers = signed_headers(self._key, message_id, int(time.time()), body)
        headers["content-type"] = "application/json"

        async def status() -> int:
            async with client.stream("POST", self._url, content=body, headers=headers) as answer:
                return answer.status_code

        try:
            # httpx would count each step by itself, and a receiver may take any number of them.
            answered = await asyncio.wait_for(status(), ANSWER_S)
        except asyncio.TimeoutError:
            return f"no answer within {ANSWER_S:.0f} s"
        except httpx.HTTPError as error:
            return type(error).__name__
        return "" if 200 <= answered < 300 else f"status {answered}"
