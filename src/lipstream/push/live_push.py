"""A push of live units that never makes its session wait, and tries again for ever."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable

from lipstream.live.session.types import Unit
from lipstream.push.wire import READY, PushTarget, pack

MAX_UNITS = 25  # that wait for the process; what comes beyond is left out
CONNECT_S = 10.0  # in which the process must start, and the server take the stream
STALL_S = 5.0  # in which the server must take a unit
END_S = 5.0  # for what is left at the end
RETRY_S, MAX_RETRY_S = 1.0, 30.0  # before the first retry; each waits twice as long
STEADY_S = 60.0  # a connection that held for so long begins with the shortest wait again
MAX_WORDS = 200  # bytes of what the process says of its end


class LivePush:
    """Pushes the units that it is given to one server.

    A server that cannot be reached, says nothing or dies costs units of the push alone: each try
    has a process of its own, which is killed when it is late.
    """

    def __init__(self, target: PushTarget, on_lost: Callable[[str, float], None]) -> None:
        """`on_lost` is told why a try ended, and after how many seconds the next one begins."""
        self._target, self._on_lost = target, on_lost
        self._units: asyncio.Queue[Unit | None] = asyncio.Queue(MAX_UNITS)
        self.connected = asyncio.Event()
        self.given = self.sent = 0  # units
        self._ended = False

    @property
    def left_out(self) -> int:
        """Units that were given and not sent, but for those that wait."""
        return self.given - self.sent - self._units.qsize()

    def put(self, unit: Unit) -> None:
        """Push `unit` if there is room and a connection, else leave it out. Never waits."""
        self.given += 1
        if self.connected.is_set() and not self._units.full():
            self._units.put_nowait(unit)

    async def run(self) -> None:
        """Push until `end`; try again whenever the connection is lost."""
        wait_s = RETRY_S
        while not self._ended:
            began = time.monotonic()
            reason = await self._try_once()
            if self._ended:
                return
            wait_s = RETRY_S if time.monotonic() - began > STEADY_S else wait_s
            self._on_lost(reason, wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, MAX_RETRY_S)

    async def end(self) -> None:
        """Let `run` return once what waits was sent, or could not be in time. Without a connection
        it may wait before that: cancel it then."""
        self._ended = True
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._units.put(None), STALL_S)

    async def _try_once(self) -> str:
        """Push by a new process until it is lost; why it was, in a few words."""
        command = (sys.executable, "-m", "lipstream.push.child")
        child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        try:
            return await self._push_by(child)
        except asyncio.TimeoutError:
            return "the server takes nothing"
        except (BrokenPipeError, ConnectionResetError):
            return await _last_words(child)
        finally:
            self.connected.clear()
            while not self._units.empty():
                self._units.get_nowait()
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
            await child.wait()

    async def _push_by(self, child: Process) -> str:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(self._target.to_line())
        if await asyncio.wait_for(child.stdout.readline(), CONNECT_S) != READY:
            return await _last_words(child)
        self.connected.set()
        while (unit := await self._units.get()) is not None:
            child.stdin.writelines(pack(unit.index, unit.frame, unit.samples))
            await asyncio.wait_for(child.stdin.drain(), STALL_S)
            self.sent += 1
        child.stdin.close()
        await asyncio.wait_for(child.wait(), END_S)
        return "it has ended"


async def _last_words(child: Process) -> str:
    assert child.stderr is not None
    with contextlib.suppress(asyncio.TimeoutError):
        said = await asyncio.wait_for(child.stderr.read(MAX_WORDS), 1.0)
        lines = said.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "the connection was lost"
    return "the connection was lost"
