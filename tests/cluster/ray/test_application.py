"""The application on Ray: it grows and shrinks, is replaced and is taken away while it speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from tests.cluster.live_cluster import PATIENCE_S, Spoken, names, ready, spoken_to, two
from tests.cluster.ray.deployed import NEEDS_RAY, Deployed, deployed

pytestmark = [pytest.mark.cluster, pytest.mark.alone, pytest.mark.slow, NEEDS_RAY]

GROWN_S = 30.0  # in which there is one worker more, from the load on
LONG_S = 20  # of speech, for a scale-down to be decided meanwhile
TWO = {"min_workers": 2, "max_workers": 2, "drain": "speech"}
GROWING = {"min_workers": 1, "max_workers": 2, "upscale_delay_s": 1, "downscale_delay_s": 2}


@pytest.fixture(scope="module")
def application() -> Iterator[Deployed]:
    with deployed(**TWO) as opened:
        yield opened


async def gone(client: httpx.AsyncClient, workers: set[str]) -> None:
    while await names(client) & workers:  # noqa: ASYNC110 (processes set no event)
        await asyncio.sleep(0.1)


def test_sessions_go_on_while_a_front_is_killed(application: Deployed) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        await ready(client, 2)
        async with spoken_to(client) as one:
            await one.speak()
            front_of(application.live.root).kill()
            pictures = len(one.viewer.pictures)
            await one.viewer.until(pictures + 25)
            answer = await client.get(f"/v1/sessions/{one.id}")
            while answer.status_code >= 500:  # none is there yet, or it does not know its workers
                await asyncio.sleep(0.1)
                answer = await client.get(f"/v1/sessions/{one.id}")
            assert answer.json()["state"] == "connected"
            assert (await client.delete(f"/v1/sessions/{one.id}")).status_code == 204

    application.live.run(scenario)


def front_of(root: psutil.Process) -> psutil.Process:
    for process in root.children(recursive=True):
        if "Front" in " ".join(process.cmdline()):
            return process
    raise AssertionError("no front has a process")


def test_no_word_is_lost_when_a_new_one_takes_its_place(application: Deployed) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        await ready(client, 2)
        async with two(client) as (one, other):
            await one.speak(LONG_S)
            await other.speak(LONG_S)
            application.deploy(**TWO, upload_limit=65)
            await one.hear_all(LONG_S)
            await other.hear_all(LONG_S)
            await asyncio.to_thread(application.done)
            old = {one.worker, other.worker}
            await ready(client, 2, without=old)
            await gone(client, old)

    application.live.run(scenario)


def test_it_grows_with_the_load_and_shrinks_without_losing_a_word(application: Deployed) -> None:
    application.deploy(**GROWING)
    application.done()

    async def scenario(client: httpx.AsyncClient) -> None:
        loop = asyncio.get_running_loop()
        while len(await names(client)) != 1:  # noqa: ASYNC110 (those before it go)
            await asyncio.sleep(0.1)
        async with AsyncExitStack() as stack:
            first = [await stack.enter_async_context(spoken_to(client)) for _ in range(4)]
            began = loop.time()
            await ready(client, 2)
            assert loop.time() - began < GROWN_S
            other = await stack.enter_async_context(spoken_to(client))
            assert other.worker != first[0].worker
            speaking = [first[0], other]
            for one in speaking:
                await one.speak(LONG_S)
            for one in first[1:]:  # two sessions are left, one on each worker
                assert (await client.delete(f"/v1/sessions/{one.id}")).status_code == 204
            chosen = await draining(client, speaking)
            state = (await client.get(f"/v1/sessions/{chosen.id}")).json()
            assert state["speaking"]
            for one in speaking:
                await one.hear_all(LONG_S)
            await chosen.speak()  # it goes on until its viewer leaves
            await chosen.hear_all()
            assert len(await names(client)) == 2
            assert (await client.delete(f"/v1/sessions/{chosen.id}")).status_code == 204
            await asyncio.wait_for(gone(client, {chosen.worker}), PATIENCE_S)

    application.live.run(scenario)


async def draining(client: httpx.AsyncClient, speaking: list[Spoken]) -> Spoken:
    """The session on the worker that Serve has chosen to go."""
    while True:
        targets = {
            one["labels"]["worker"]: one["targets"][0]
            for one in (await client.get("/v1/cluster")).json()
        }
        for one in speaking:
            load = await client.get(f"http://{targets[one.worker]}/v1/load")
            if load.json()["draining"]:
                return one
        await asyncio.sleep(0.1)


def test_no_word_is_lost_when_it_is_taken_away(application: Deployed) -> None:
    application.deploy(**TWO)
    application.done()

    async def scenario(client: httpx.AsyncClient) -> None:
        await ready(client, 2)
        async with spoken_to(client) as one:
            await one.speak()
            application.delete()
            await one.hear_all()
            await asyncio.to_thread(application.done)

    application.live.run(scenario)
