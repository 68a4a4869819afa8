"""The server that browser tests talk to, in a process of its own."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "browser-test"
SETTLED_AFTER = 10.0  # seconds in which a server gets rid of what sessions leave
METRIC = "lipstream_sessions "


@dataclass(frozen=True, slots=True)
class Service:
    """A running server."""

    address: str
    token: str

    async def sessions(self) -> int:
        """How many there are, by its own metrics."""
        text = (await self._call("GET", "metrics")).text
        (line,) = (line for line in text.splitlines() if line.startswith(METRIC))
        return round(float(line.removeprefix(METRIC)))

    async def settled(self, wanted: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the process holds once no session is left and it holds what is `wanted`.

        After `SETTLED_AFTER` seconds what it holds then, whatever that is.
        """
        held: dict[str, Any] = {}
        for _ in range(round(SETTLED_AFTER * 4)):
            before, held = held, _kinds((await self._call("GET", "probe/holdings")).json())
            if await self.sessions() == 0 and held == (before if wanted is None else wanted):
                break
            await asyncio.sleep(0.25)
        return held

    async def end(self, session_id: str) -> None:
        """End a session behind the back of its viewer."""
        await self._call("DELETE", f"v1/sessions/{session_id}")

    async def _call(self, method: str, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient() as client:
            response = await client.request(method, f"{self.address}/{path}", headers=headers)
        response.raise_for_status()
        return response


def _kinds(holdings: dict[str, Any]) -> dict[str, Any]:
    """Pools start their threads when they like, so of those only the kinds count."""
    kinds = {re.sub(r"_\d+$", "", name) for name in holdings["threads"]}
    return {**holdings, "threads": sorted(kinds - {"AnyIO worker thread"})}


@contextmanager
def open_service(*arguments: str) -> Iterator[Service]:
    """Start the server of `tests.browser.server` and end it afterwards."""
    command = [sys.executable, "-m", "tests.browser.server", "--token", TOKEN, *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, "the server did not start; its log is above"
        yield Service(f"http://127.0.0.1:{port}", TOKEN)
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()
