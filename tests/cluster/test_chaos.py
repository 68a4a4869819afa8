"""Real workers behind a real front: killed, stopped and told to end while somebody is spoken to."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.cli.program import COMMAND
from tests.cli.serving import Serving, serving
from tests.media_files import tone
from tests.server.app_client import SDP
from tests.server.viewers import Viewer

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

PORTRAIT = Path(__file__).parents[1] / "data" / "portrait.png"
RATE = 24_000
SPEECH_S = 4
PATIENCE_S = 60.0
CAPACITY_S, HUNG_S = 20.0, 10.0  # in which a worker that died, or hangs, is replaced


@dataclass
class Spoken:
    """A viewer who is spoken to through a front."""

    id: str
    viewer: Viewer
    socket: ClientConnection
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def worker(self) -> str:
        return self.id[33:]

    async def until(self, kind: str) -> dict[str, Any]:
        """The next event of this kind."""
        while True:
            event: dict[str, Any] = json.loads(await self.socket.recv())
            self.events.append(event)
            if event["type"] == kind:
                return event

    async def speak(self) -> None:
        """Send some seconds, and return when the first of them is heard."""
        pcm = np.asarray(tone(SPEECH_S, RATE) * 9_000, np.int16).tobytes()
        for start in range(0, len(pcm), 48_000):
            await self.socket.send(pcm[start : start + 48_000])
        await self.socket.send('{"type": "end"}')
        await self.until("started")


@asynccontextmanager
async def spoken_to(url: str, client: httpx.AsyncClient) -> AsyncIterator[Spoken]:
    """Open a session and see its pictures."""
    answer = await client.post("/v1/sessions", json={"avatar": "face"})
    assert answer.status_code == 201, answer.text
    made, viewer = answer.json(), Viewer()
    try:
        offer = await viewer.offer()
        answer = await client.post(made["whep_url"], content=offer, headers=SDP)
        assert answer.status_code == 201, answer.text
        await viewer.take(answer.text)
        await viewer.until(10, PATIENCE_S)
        async with connect(url.replace("http", "ws") + made["audio_url"]) as socket:
            yield Spoken(made["id"], viewer, socket)
    finally:
        await viewer.close()


@contextmanager
def cluster(*arguments: str) -> Iterator[Serving]:
    """Two workers behind a front, both ready."""
    call = ("--workers", "2", "--avatar", f"face={PORTRAIT}", "--rate-limit", "0", *arguments)
    with serving(*call) as server:
        run(lambda client: ready(client, 2), server.url)
        children = psutil.Process(server.process.pid).children(recursive=True)
        try:
            yield server
        finally:
            if server.process.poll() is None:
                children += psutil.Process(server.process.pid).children(recursive=True)
            for _ in range(2):  # the second time they hurry
                server.process.terminate()
            server.process.wait(PATIENCE_S)
            assert not psutil.wait_procs(children, PATIENCE_S)[1], "workers are left behind"


def run(scenario: Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]], url: str) -> None:
    async def bounded() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            await asyncio.wait_for(scenario(client), 2 * PATIENCE_S)

    asyncio.run(bounded())


async def names(client: httpx.AsyncClient) -> set[str]:
    return {one["labels"]["worker"] for one in (await client.get("/v1/cluster")).json()}


async def ready(client: httpx.AsyncClient, count: int) -> None:
    while len(await names(client)) < count:  # noqa: ASYNC110 (processes set no event)
        await asyncio.sleep(0.1)


async def replaced(client: httpx.AsyncClient, worker: str) -> None:
    """Return when there are two workers without this one."""
    while len(await names(client) - {worker}) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


def process_of(server: Serving, worker: str) -> psutil.Process:
    for process in psutil.Process(server.process.pid).children():
        command = process.cmdline()
        if "--worker-id" in command and command[command.index("--worker-id") + 1] == worker:
            return process
    raise AssertionError(f"{worker} has no process")


@asynccontextmanager
async def two(url: str, client: httpx.AsyncClient) -> AsyncIterator[tuple[Spoken, Spoken]]:
    """Two viewers, one of each worker."""
    async with spoken_to(url, client) as one, spoken_to(url, client) as other:
        assert one.worker != other.worker
        yield one, other


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_dies_or_hangs_costs_its_own_sessions_alone(number: signal.Signals) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        loop = asyncio.get_running_loop()
        async with two(server.url, client) as (victim, other):
            await other.speak()
            before = len(other.viewer.pictures)
            process_of(server, victim.worker).send_signal(number)
            began = loop.time()
            for _ in range(5):  # none of them hangs beyond the time in which it is replaced
                answer = await client.get(f"/v1/sessions/{victim.id}")
                if answer.status_code == 404:
                    break
            took = loop.time() - began
            assert took < (2.0 if number == signal.SIGKILL else HUNG_S + 5)
            assert answer.json()["error"]["code"] == "worker_gone"
            await replaced(client, victim.worker)
            took = loop.time() - began
            assert took < (CAPACITY_S if number == signal.SIGKILL else HUNG_S)
            if number == signal.SIGKILL:
                ended = await other.until("ended")
                assert ended["played_ms"] == 1000 * SPEECH_S
            assert (await client.get(f"/v1/sessions/{other.id}")).json()["skipped"] == 0
            assert len(other.viewer.pictures) > before
            async with spoken_to(server.url, client) as again:
                assert again.worker not in (victim.worker, other.worker)
                await again.speak()

    with cluster() as server:
        run(scenario, server.url)


@pytest.mark.parametrize("whose", ["a worker", "the front"])
def test_no_word_is_lost_when_it_is_told_to_end(whose: str) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        async with two(server.url, client) as (one, other):
            await one.speak()
            await other.speak()
            if whose == "a worker":
                process_of(server, one.worker).terminate()
            else:
                server.process.terminate()
            for each in (one, other):
                ended = await each.until("ended")
                assert ended["played_ms"] == 1000 * SPEECH_S
                assert not [event for event in each.events if event["type"] == "error"]

    with cluster() as server:
        run(scenario, server.url)
        if whose == "the front":
            assert server.process.wait(PATIENCE_S) == 0


def test_sessions_go_on_while_their_front_is_killed_and_started_again() -> None:
    """Its workers are supervised by somebody else."""

    async def scenario(client: httpx.AsyncClient) -> None:
        front = stack_front(worker.url)
        async with (
            httpx.AsyncClient(base_url=front.url, timeout=PATIENCE_S) as first,
            spoken_to(front.url, first) as one,
        ):
            await one.speak()
            front.process.kill()
            front.process.communicate()
            again = stack_front(worker.url)
            try:
                async with httpx.AsyncClient(base_url=again.url, timeout=PATIENCE_S) as second:
                    state = (await second.get(f"/v1/sessions/{one.id}")).json()
                    assert state["state"] == "connected" and state["speaking"]
                    pictures = len(one.viewer.pictures)
                    await one.viewer.until(pictures + 25)
                    assert (await second.delete(f"/v1/sessions/{one.id}")).status_code == 204
            finally:
                again.process.kill()
                again.process.communicate()

    with serving("--worker-id", "w1", "--avatar", f"face={PORTRAIT}") as worker:
        run(scenario, worker.url)


def stack_front(url: str) -> Serving:
    """A front before one worker."""
    call = [*COMMAND, "front", "--port", "0", "--worker", f"w1={url}"]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return Serving(process)
