"""The push of one session: it begins, is lost and found again, and ends with the session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TypeAlias

from lipstream.live.cancellation import cancel_until_ended
from lipstream.live.session.types import Unit
from lipstream.push.live_push import LivePush, OnLost, PushRefusedError, PushState
from lipstream.server.metrics import Metrics
from lipstream.server.schemas.sessions import PushInfo

END_S = 4.0  # of a session, for what is still to be sent and said to the server

OpenPush: TypeAlias = Callable[[OnLost, Callable[[], None]], LivePush]
OnChange: TypeAlias = Callable[[str, dict[str, str]], None]

log = logging.getLogger("lipstream.server")


class SessionPush:
    """Runs a push, and tells what becomes of it. Used on the event loop only."""

    def __init__(
        self,
        open_push: OpenPush,
        host: str,
        short_id: str,
        metrics: Metrics,
        on_change: OnChange,
    ) -> None:
        """`on_change` is told `push.connected`, `push.lost` and `push.failed`, the latter two with
        a `reason`."""
        self._push = open_push(self._lost, self._connected)
        self._host, self._short_id = host, short_id
        self._metrics, self._on_change = metrics, on_change
        self._task: asyncio.Task[None] | None = None
        self._reason: str | None = None

    @property
    def state(self) -> PushState:
        """Its state, in a word."""
        return self._push.state

    @property
    def info(self) -> PushInfo:
        """Its state as a message of the API."""
        push = self._push
        return PushInfo(
            state=push.state,
            host=self._host,
            sent=push.sent,
            left_out=push.left_out,
            reason=None if push.state == "connected" else self._reason,
        )

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._task = asyncio.create_task(self._run(), name=f"push of {self._short_id}")

    def put(self, unit: Unit) -> None:
        """Push `unit`, or leave it out."""
        self._push.put(unit)

    async def end(self) -> None:
        """Send what waits, say goodbye to the server, and leave nothing behind."""
        if self._task is None:
            return
        with contextlib.suppress(asyncio.TimeoutError):
            if self._push.connected.is_set():
                await asyncio.wait_for(self._ended(self._task), END_S)
        await cancel_until_ended([self._task])
        self._metrics.push_units.labels("sent").inc(self._push.sent)
        self._metrics.push_units.labels("left_out").inc(self._push.left_out)

    async def _ended(self, task: asyncio.Task[None]) -> None:
        await self._push.end()
        await asyncio.shield(task)

    async def _run(self) -> None:
        try:
            await self._push.run()
        except PushRefusedError as refusal:
            self._tell("push.failed", str(refusal))
        except Exception:
            # A bug costs this push, whose task nobody awaits; the session goes on.
            log.exception("a push failed")
            self._push.failure = "an error of the server"
            self._tell("push.failed", self._push.failure)

    def _connected(self) -> None:
        log.info("push connected", extra={"session": self._short_id, "server": self._host})
        self._metrics.pushes.labels("connected").inc()
        self._on_change("push.connected", {})

    def _lost(self, reason: str, wait_s: float) -> None:
        self._tell("push.lost", reason)

    def _tell(self, event: str, reason: str) -> None:
        self._reason = reason
        fields = {"session": self._short_id, "server": self._host, "reason": reason}
        log.warning(event.replace(".", " "), extra=fields)
        self._metrics.pushes.labels(event.removeprefix("push.")).inc()
        self._on_change(event, {"reason": reason})
