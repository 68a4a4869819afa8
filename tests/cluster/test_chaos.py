"""Real workers behind a real front: killed, stopped and told to end while somebody is spoken to."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TypeAlias

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from tests.cli.program import COMMAND
from tests.cli.serving import Serving, serving
from tests.cluster.live_cluster import (
    PATIENCE_S,
    LiveCluster,
    end_sessions,
    ready,
    spoken_to,
    two,
)
from tests.cluster.ray.deployed import NEEDS_RAY, deployed

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

PORTRAIT = Path(__file__).parents[1] / "data" / "portrait.png"
Opening: TypeAlias = AbstractContextManager[LiveCluster]
CAPACITY_S, HUNG_S = 20.0, 10.0  # in which a worker that died, or hangs, is replaced


@contextmanager
def processes(*arguments: str) -> Iterator[tuple[LiveCluster, Serving]]:
    """Two workers behind a front, both ready."""
    call = ("--workers", "2", "--avatar", f"face={PORTRAIT}", "--rate-limit", "0", *arguments)
    with serving(*call) as server:
        root = psutil.Process(server.process.pid)
        live = LiveCluster(server.url, root)
        live.run(lambda client: ready(client, 2))
        children = root.children(recursive=True)
        try:
            yield live, server
        finally:
            if server.process.poll() is None:
                children += root.children(recursive=True)
            for _ in range(2):  # the second time they hurry
                server.process.terminate()
            server.process.wait(PATIENCE_S)
            assert not psutil.wait_procs(children, PATIENCE_S)[1], "workers are left behind"


@contextmanager
def without_server() -> Iterator[LiveCluster]:
    with processes() as (live, _):
        yield live


@pytest.fixture(
    scope="module", params=["processes", pytest.param("ray", marks=[pytest.mark.slow, NEEDS_RAY])]
)
def supervisor(request: pytest.FixtureRequest) -> Iterator[Callable[[], Opening]]:
    """Opens two workers: new ones for each test, but on Ray the same for all."""
    if request.param == "processes":
        yield without_server
        return
    with deployed(min_workers=2, max_workers=2, drain="speech") as application:
        yield lambda: nullcontext(application.live)


@pytest.fixture
def live(supervisor: Callable[[], Opening]) -> Iterator[LiveCluster]:
    """Two workers, however they are supervised."""
    with supervisor() as opened:
        opened.run(lambda client: ready(client, 2))
        yield opened
        opened.run(end_sessions)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_dies_or_hangs_costs_its_own_sessions_alone(
    live: LiveCluster, number: signal.Signals
) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        loop = asyncio.get_running_loop()
        async with two(client) as (victim, other):
            await other.speak()
            before = len(other.viewer.pictures)
            live.process_of(victim.worker).send_signal(number)
            began = loop.time()
            for _ in range(5):  # none of them hangs beyond the time in which it is replaced
                answer = await client.get(f"/v1/sessions/{victim.id}")
                if answer.status_code == 404:
                    break
            took = loop.time() - began
            assert took < (2.0 if number == signal.SIGKILL else HUNG_S + 5)
            assert answer.json()["error"]["code"] == "worker_gone"
            await ready(client, 2, without={victim.worker})
            took = loop.time() - began
            assert took < (CAPACITY_S if number == signal.SIGKILL else HUNG_S)
            if number == signal.SIGKILL:
                await other.hear_all()
            assert (await client.get(f"/v1/sessions/{other.id}")).json()["skipped"] == 0
            assert len(other.viewer.pictures) > before
            async with spoken_to(client) as again:
                assert again.worker not in (victim.worker, other.worker)
                await again.speak()

    live.run(scenario)


def test_no_word_is_lost_when_a_worker_is_told_to_end(live: LiveCluster) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        async with two(client) as (one, other):
            await one.speak()
            await other.speak()
            live.process_of(one.worker).terminate()
            await one.hear_all()
            await other.hear_all()
            await ready(client, 2, without={one.worker})

    live.run(scenario)


def test_no_word_is_lost_when_the_front_is_told_to_end() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        async with two(client) as (one, other):
            await one.speak()
            await other.speak()
            server.process.terminate()
            await one.hear_all()
            await other.hear_all()

    with processes() as (live, server):
        live.run(scenario)
        assert server.process.wait(PATIENCE_S) == 0


def test_sessions_go_on_while_their_front_is_killed_and_started_again() -> None:
    """Its workers are supervised by somebody else."""

    async def scenario(client: httpx.AsyncClient) -> None:
        front = stack_front(worker.url)
        async with (
            httpx.AsyncClient(base_url=front.url, timeout=PATIENCE_S) as first,
            spoken_to(first) as one,
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
        live = LiveCluster(worker.url, psutil.Process(worker.process.pid))
        live.run(scenario)


def stack_front(url: str) -> Serving:
    """A front before one worker."""
    call = [*COMMAND, "front", "--port", "0", "--worker", f"w1={url}"]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return Serving(process)
