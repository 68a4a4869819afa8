"""Hundreds of silent connections at the usual limit of open files: a live session loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.cli.serving import serving
from tests.server.viewers import Viewer
from tests.timed import judge, measure_until

resource = pytest.importorskip("resource")

PORTRAIT = Path(__file__).parents[2] / "examples" / "portrait.png"
COUNT = 1_100  # 600 more than have a place
FILES = 1_024
PROBE_S = 5.0  # for an answer; silent connections have 10 s before they are closed
SECONDS = 6.0  # without the connections, and with them
TOLERATED = 3  # of 150 frames: what chance takes on two cores
LIMITED = ("sh", "-c", f'ulimit -n {FILES}; exec "$@"', "sh")
SDP = {"content-type": "application/sdp"}

pytestmark = [pytest.mark.load, pytest.mark.alone]


@pytest.fixture(autouse=True)
def many_files() -> None:
    """Let the test itself have as many sockets as it needs."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 2 * COUNT:
        pytest.skip("so many connections cannot be made here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * COUNT, hard))


@contextlib.asynccontextmanager
async def silence(port: int) -> AsyncIterator[None]:
    """`COUNT` connections that say nothing; those that the server closes are opened again."""
    opened: list[asyncio.StreamWriter] = []

    async def open_some(count: int) -> None:
        for _ in range(count):
            with contextlib.suppress(OSError):
                opened.append((await asyncio.open_connection("127.0.0.1", port))[1])

    tasks = [asyncio.create_task(open_some(COUNT // 20)) for _ in range(20)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in opened:
            writer.transport.abort()


async def scenario(url: str) -> tuple[int, int]:
    """Frames that the session missed in as much time without and with the connections."""
    async with httpx.AsyncClient(base_url=url, timeout=20) as http:
        session = (await http.post("/v1/sessions", json={"avatar": "face"})).json()
        viewer = Viewer()
        answer = await http.post(session["whep_url"], content=await viewer.offer(), headers=SDP)
        assert answer.status_code == 201, answer.text
        await viewer.take(answer.text)
        await viewer.until(25)

        async def missed() -> int:
            state = (await http.get(f"/v1/sessions/{session['id']}")).json()
            assert state["state"] == "connected"
            return int(state["repeated"] + state["skipped"] + state["dropped"])

        counts = [await missed()]
        await asyncio.sleep(SECONDS)
        counts.append(await missed())
        async with silence(int(url.rpartition(":")[2])):
            end = asyncio.get_running_loop().time() + SECONDS
            while asyncio.get_running_loop().time() < end:
                for path in ("/healthz", "/readyz"):
                    async with httpx.AsyncClient(base_url=url, timeout=PROBE_S) as probe:
                        assert (await probe.get(path)).status_code == 200
                await asyncio.sleep(0.2)
            counts.append(await missed())
        await viewer.close()
        await http.delete(f"/v1/sessions/{session['id']}")
        return counts[1] - counts[0], counts[2] - counts[1]


def test_a_live_session_keeps_its_frames_and_probes_their_answers() -> None:
    with serving("--avatar", f"face={PORTRAIT}", under=LIMITED) as server:
        measured = measure_until(
            lambda: asyncio.run(asyncio.wait_for(scenario(server.url), 60)),
            lambda counts: counts[1] <= counts[0] + TOLERATED,
        )
        quiet, busy = measured[-1].value
        judge(busy <= quiet + TOLERATED, measured, [one.value for one in measured])


def test_too_few_open_files_are_a_sentence_at_the_start() -> None:
    done = subprocess.run(
        [*("sh", "-c", 'ulimit -n 256; exec "$@"', "sh"), sys.executable, "-m", "lipstream"]
        + ["serve", "--port", "0", "--backend", "puppet"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("lipstream: only 256 files may be open at once, and 500 ")
