"""The server of the browser tests, in a separate process."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.through_front import THROUGH_FRONT, WORKERS

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "browser-test"
START_S = 60.0  # in which workers start, one after the other
SETTLE_S = 10.0  # in which a server releases what sessions leave
MAX_ATTEMPTS, RETRY_S = 8, 4  # to open a session on a busy server


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server."""

    address: str
    token: str

    async def sessions(self) -> int:
        """The number of open sessions."""
        return len((await self._call("GET", "v1/sessions")).json()["sessions"])

    async def places(self) -> int:
        """The number of sessions that may be open."""
        return int((await self._call("GET", "v1/config")).json()["max_sessions"])

    async def wait_until_free(self, within_s: float = SETTLE_S) -> None:
        """Return when no session is open; AssertionError when one still is after that time."""

        async def is_free() -> bool:
            return await self.sessions() == 0

        await _poll(is_free, within_s, "a session is still open")

    def wait_for_workers(self) -> None:
        """Return when all workers of a front are there."""
        headers = {"Authorization": f"Bearer {self.token}"}
        end = time.monotonic() + START_S
        while len(httpx.get(f"{self.address}/v1/cluster", headers=headers).json()) < WORKERS:
            assert time.monotonic() < end, "a worker is not there"
            time.sleep(0.1)

    async def wait_until_silent(self, session_id: str) -> None:
        """Return when no speech plays or waits in a session; AssertionError after `SETTLE_S`."""

        async def is_silent() -> bool:
            state = (await self._call("GET", f"v1/sessions/{session_id}")).json()
            return not (state["speaking"] or state["buffered_ms"])

        await _poll(is_silent, SETTLE_S, "the session still speaks")

    async def settled(self, expected: dict[str, Any] | None = None) -> dict[str, Any]:
        """The resources of the process once no session is left and they are as `expected`.

        Without `expected`, once two readings agree; after `SETTLE_S` seconds the last reading.
        """
        held: dict[str, Any] = {}
        for _ in range(round(SETTLE_S * 4)):
            before, held = held, _kinds((await self._call("GET", "probe/resources")).json())
            if await self.sessions() == 0 and held == (before if expected is None else expected):
                break
            await asyncio.sleep(0.25)
        return held

    async def open_session(self, avatar: str) -> dict[str, Any]:
        """What an application's own server gets and gives to its page.

        AssertionError when every try is refused: a busy server refuses sessions for a while.
        """
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient(base_url=self.address, headers=headers) as client:
            for _ in range(MAX_ATTEMPTS):
                response = await client.post("/v1/sessions", json={"avatar": avatar})
                if response.status_code != 503:
                    break
                await asyncio.sleep(RETRY_S)
        assert response.status_code == 201, response.text
        return dict(response.json())

    async def end(self, session_id: str) -> None:
        """End a session from outside of its page."""
        await self._call("DELETE", f"v1/sessions/{session_id}")

    async def _call(self, method: str, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient() as client:
            response = await client.request(method, f"{self.address}/{path}", headers=headers)
        response.raise_for_status()
        return response


async def _poll(done: Callable[[], Awaitable[bool]], seconds: float, fault: str) -> None:
    """Ask until it is `done`: another process sets no event here."""
    end = time.monotonic() + seconds
    while not await done():
        assert time.monotonic() < end, f"{fault} after {seconds:.0f} s"
        await asyncio.sleep(0.05)


def _kinds(resources: dict[str, Any]) -> dict[str, Any]:
    """Threads by kind: pools start theirs when they like, so their number does not count."""
    kinds = {re.sub(r"_\d+$", "", name) for name in resources["threads"]}
    return {**resources, "threads": sorted(kinds - {"AnyIO worker thread"})}


@contextmanager
def start_server(*arguments: str) -> Iterator[ServerProcess]:
    """Start `tests.browser.server` with these arguments and end it afterwards."""
    command = [sys.executable, "-m", "tests.browser.server", "--token", TOKEN, *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, "the server did not start; its log is above"
        server = ServerProcess(f"http://127.0.0.1:{port}", TOKEN)
        if THROUGH_FRONT:
            server.wait_for_workers()
        yield server
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()
