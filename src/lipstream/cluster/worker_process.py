"""One worker of this machine: a process of `lipstream serve`, from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections.abc import Sequence

STARTED = re.compile(rb"lipstream is at (http://\S+) ")  # the line of `lipstream serve`
START_S = 300.0  # clips and networks are prepared before it answers


class WorkerProcess:
    """A running process. Its standard input is held open: it ends when this process does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, command: Sequence[str]) -> WorkerProcess:
        """In a session of its own, so that Ctrl-C reaches it through its front alone."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def address(self) -> str | None:
        """Its base URL once it answers; None when it ended before, or took too long."""
        try:
            line = await asyncio.wait_for(self._first_line(), START_S)
        except asyncio.TimeoutError:
            self.kill()
            line = b""
        found = STARTED.match(line)
        if found is None:
            return None
        self._reading = asyncio.create_task(self._read_on(), name=f"output of {self.pid}")
        return found[1].decode()

    async def ended(self) -> int:
        """Return its exit code when it has ended."""
        status = await self._process.wait()
        if self._reading is not None:
            await self._reading
        if self._process.stdin is not None:
            self._process.stdin.close()
        return status

    def terminate(self) -> None:
        """Ask it to end: it drains, and the second time it hurries."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, also when it is stopped."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _first_line(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    async def _read_on(self) -> None:
        """Read what it still says, so that it never waits for us."""
        assert self._process.stdout is not None
        while await self._process.stdout.read(4096):
            pass
