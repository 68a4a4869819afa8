"""A push of live units that never makes its session wait, and tries again for ever."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, TypeAlias

from lipstream.errors import LipstreamError
from lipstream.live.session.types import Unit

MAX_UNITS = 25  # that wait to be sent; what comes beyond is left out
STALL_S = 5.0  # in which the server must take a unit
RETRY_S, MAX_RETRY_S = 1.0, 30.0  # before the first retry; each waits twice as long
STEADY_S = 60.0  # a connection that held for so long begins with the shortest wait again

OnLost: TypeAlias = Callable[[str, float], None]
PushState: TypeAlias = Literal["connecting", "connected", "lost", "failed"]


class PushRefusedError(LipstreamError):
    """The server said that it will never take this stream."""


class LivePush(ABC):
    """Pushes the units that it is given to one server.

    A server that cannot be reached, says nothing or dies costs units of the push alone. One that
    refuses the first connection for good ends it; later it is tried again all the same.
    """

    def __init__(self, on_lost: OnLost, on_connected: Callable[[], None] = lambda: None) -> None:
        """`on_lost` is told why a try ended, and after how many seconds the next one begins."""
        self._on_lost, self._on_connected = on_lost, on_connected
        self._units: asyncio.Queue[Unit | None] = asyncio.Queue(MAX_UNITS)
        self.connected = asyncio.Event()
        self.given = self.sent = 0  # units
        self.failure = ""  # why it is given up
        self._was_connected = False
        self._ending = asyncio.Event()  # by `end`

    @property
    def left_out(self) -> int:
        """Units that were given and not sent, but for those that wait."""
        return self.given - self.sent - self._units.qsize()

    @property
    def state(self) -> PushState:
        """Its state, in a word."""
        if self.failure:
            return "failed"
        if self.connected.is_set():
            return "connected"
        return "lost" if self._was_connected else "connecting"

    def put(self, unit: Unit) -> None:
        """Push `unit` if there is room and a connection, else leave it out. Never waits."""
        self.given += 1
        if self.connected.is_set() and not self._units.full():
            self._units.put_nowait(unit)

    async def run(self) -> None:
        """Push until `end`; try again whenever the connection is lost. Raises PushRefusedError."""
        wait_s = RETRY_S
        while not self._ending.is_set():
            began = time.monotonic()
            reason = await self._try_again()
            if self._ending.is_set():
                return
            wait_s = RETRY_S if time.monotonic() - began > STEADY_S else wait_s
            self._on_lost(reason, wait_s)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ending.wait(), wait_s)
            wait_s = min(2 * wait_s, MAX_RETRY_S)

    async def end(self) -> None:
        """Let `run` return once what waits was sent, or could not be in time. Without a connection
        it may wait before that: cancel it then."""
        self._ending.set()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._units.put(None), STALL_S)

    @abstractmethod
    async def _try_once(self) -> str:
        """Connect, call `_connect`, and send units up to None, or until the connection is lost: why
        it was, in a few words. Raises PushRefusedError."""

    def _connect(self) -> None:
        """The server takes units from now on."""
        self._was_connected = True
        self.connected.set()
        self._on_connected()

    async def _try_again(self) -> str:
        try:
            return await self._try_once()
        except PushRefusedError as refusal:
            if not self._was_connected:
                self.failure = str(refusal)
                raise
            return str(refusal)
        except OSError as error:  # this machine has no process or socket left for it
            return error.strerror or type(error).__name__
        finally:
            self.connected.clear()
            while not self._units.empty():
                self._units.get_nowait()
