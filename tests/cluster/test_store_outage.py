"""A real cluster over a real S3 server, which stands still for a minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.cluster.live_cluster import spoken_to
from tests.cluster.test_chaos import processes
from tests.server.avatars.portraits import FACE
from tests.server.avatars.stores.s3_server import S3Server

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

OUTAGE_S = 60.0
REFUSED_S = 8.0  # in which an upload is refused: the store's own deadline is 5 s
BACK_S = 15.0  # in which everything continues
FPS = 25


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """Its variables are there before the workers are."""
    with S3Server() as server:
        yield server


async def uploaded(client: httpx.AsyncClient) -> str:
    """The id of a new avatar that all workers can show."""
    answer = await client.post("/v1/avatars", files=FACE)
    assert answer.status_code == 202, answer.text
    avatar = str(answer.json()["id"])
    ready = 0
    while ready < 10:  # any worker may answer
        shown = (await client.get(f"/v1/avatars/{avatar}")).json()
        assert shown["status"] in ("preparing", "ready"), shown
        ready = ready + 1 if shown["status"] == "ready" else 0
        await asyncio.sleep(0.2)
    return avatar


async def opened(client: httpx.AsyncClient, avatar: str) -> None:
    answer = await client.post("/v1/sessions", json={"avatar": avatar})
    assert answer.status_code == 201, answer.text
    await client.delete(f"/v1/sessions/{answer.json()['id']}")


def test_a_store_that_is_gone_for_a_minute_ends_no_session(s3: S3Server) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        avatar = await uploaded(client)
        async with spoken_to(client) as one:
            await one.speak()
            await one.until("ended")
            s3.pause()
            began, pictures = time.monotonic(), len(one.viewer.pictures)
            while time.monotonic() - began < OUTAGE_S:
                asked = time.monotonic()
                answer = await client.post("/v1/avatars", files=FACE)
                assert answer.status_code == 503, answer.text
                assert answer.json()["error"]["code"] == "store_unavailable"
                assert int(answer.headers["Retry-After"]) > 0
                assert time.monotonic() - asked < REFUSED_S
                assert (await client.get("/readyz")).status_code == 200
                await opened(client, avatar)
                await asyncio.sleep(2)
            seen = len(one.viewer.pictures) - pictures
            assert seen > FPS * OUTAGE_S / 2, "a busy machine may leave out some"
            s3.resume()
            await asyncio.wait_for(back(client), BACK_S)
            await one.speak()
            assert (await client.delete(f"/v1/avatars/{avatar}")).status_code == 204

    with processes("--store", "s3://bucket/cluster") as (live, _):
        live.run(scenario)


async def back(client: httpx.AsyncClient) -> None:
    """Return when an upload is taken again."""
    while (await client.post("/v1/avatars", files=FACE)).status_code != 202:  # noqa: ASYNC110
        await asyncio.sleep(0.5)
