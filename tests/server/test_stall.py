"""A server that stands still for 8 s, as on a suspended laptop or a machine that is moved."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from tests.cli.serving import Serving, serving
from tests.server.app_client import SDP
from tests.server.viewers import Viewer

pytestmark = pytest.mark.load  # a stall lasts as long as it lasts

PORTRAIT = Path(__file__).parents[1] / "data" / "portrait.png"
STALL_S = 8
PATIENCE_S = 30.0


async def stand_still(processes: list[psutil.Process]) -> None:
    """Stop them all for `STALL_S`; the viewer, in this process, goes on."""
    try:
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(STALL_S)
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


async def watch_through_stalls(server: Serving) -> None:
    """Watch while the server's own process, and then all of them, stand still."""
    viewer = Viewer()
    async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE_S) as http:
        made = (await http.post("/v1/sessions", json={"avatar": "face"})).json()
        offer = await viewer.offer()
        answer = await http.post(made["whep_url"], content=offer, headers=SDP)
        assert answer.status_code == 201, answer.text
        await viewer.take(answer.text)
        await viewer.until(25, PATIENCE_S)
        main = psutil.Process(server.process.pid)
        for stopped in ([main], [main, *main.children(recursive=True)]):
            await stand_still(stopped)
            await viewer.until(len(viewer.pictures) + 50, PATIENCE_S)
            state = (await http.get(f"/v1/sessions/{made['id']}")).json()["state"]
            assert state == "connected"
        await http.delete(f"/v1/sessions/{made['id']}")
    await viewer.close()


def test_who_still_sends_is_not_dropped() -> None:
    with serving("--avatar", f"face={PORTRAIT}", "--draw-processes", "1") as server:
        asyncio.run(watch_through_stalls(server))
        status, said = server.end(signal.SIGTERM)
    assert status == 0 and "viewer lost" not in said
