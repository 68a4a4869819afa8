"""A push by RTMP: each try has a process of its own, which is killed when it is late."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable

from lipstream.push.live_push import STALL_S, LivePush, OnLost
from lipstream.push.wire import READY, PushTarget, pack

CONNECT_S = 10.0  # in which the process must start, and the server take the stream
END_S = 5.0  # for what is left at the end
MAX_WORDS = 200  # bytes of what the process says of its end
PIPE_BYTES = 1 << 20  # so that a unit is written at once; what Linux lets anybody have
LOST = "the connection was lost"


class RtmpPush(LivePush):
    """Pushes H.264 and AAC to an RTMP server."""

    def __init__(
        self, target: PushTarget, on_lost: OnLost, on_connected: Callable[[], None] = lambda: None
    ) -> None:
        """`on_lost` and `on_connected` are those of `LivePush`."""
        super().__init__(on_lost, on_connected)
        self._target = target

    async def _try_once(self) -> str:
        command = (sys.executable, "-m", "lipstream.push.child")
        # Without the secrets among the variables of this process.
        variables = {k: text for k, text in os.environ.items() if not k.startswith("LIPSTREAM_")}
        child = await asyncio.create_subprocess_exec(
            *command, env=variables, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        try:
            _widen(child)
            return await self._push_by(child)
        except asyncio.TimeoutError:
            return "the server takes nothing"
        except (BrokenPipeError, ConnectionResetError):
            return await self._last_words(child)
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
            await child.wait()

    async def _push_by(self, child: Process) -> str:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(self._target.to_line())
        if await asyncio.wait_for(child.stdout.readline(), CONNECT_S) != READY:
            return await self._last_words(child)
        self._connect()
        while (unit := await self._units.get()) is not None:
            child.stdin.writelines(pack(unit.index, unit.frame, unit.samples))
            await asyncio.wait_for(child.stdin.drain(), STALL_S)
            self.sent += 1
        child.stdin.close()
        await asyncio.wait_for(child.wait(), END_S)
        return "it has ended"

    async def _last_words(self, child: Process) -> str:
        """The last line that the process said, unless it names the address, which may hold a
        key."""
        assert child.stderr is not None
        with contextlib.suppress(asyncio.TimeoutError):
            said = await asyncio.wait_for(child.stderr.read(MAX_WORDS), 1.0)
            lines = said.decode(errors="replace").strip().splitlines()
            if lines and "://" not in lines[-1]:
                return lines[-1]
        return LOST


def _widen(child: Process) -> None:
    """Give the pipe to the process room for a unit, where the system lets us."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        assert child.stdin is not None
        pipe = child.stdin.get_extra_info("pipe")
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
