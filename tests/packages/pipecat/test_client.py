"""The calls of the transport's client, to a server of a few lines."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("aiohttp", reason="scripts/install_clients brings Pipecat and aiohttp")

from aiohttp import web
from aiohttp.test_utils import TestServer

from pipecat_lipstream.client import LipstreamClient

SESSION = {"id": "4f1c", "token": "of-this-session"}


def test_a_session_of_somebody_else_is_ended_without_having_been_used() -> None:
    async def test() -> list[tuple[str, str, str]]:
        asked = []

        async def answer(request: web.Request) -> web.Response:
            asked.append((request.method, request.path, request.headers["Authorization"]))
            return web.Response(status=204)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        async with TestServer(app) as server:
            client = LipstreamClient(str(server.make_url("")), session=SESSION)
            await client.close()
            await client.close()
        return asked

    assert asyncio.run(test()) == [("DELETE", "/v1/sessions/4f1c", "Bearer of-this-session")]


def test_a_session_that_was_never_opened_is_not_ended() -> None:
    async def test() -> None:
        await LipstreamClient("http://127.0.0.1:9", avatar="anna").close()

    asyncio.run(test())


def test_an_address_with_a_password_is_refused_without_it() -> None:
    with pytest.raises(ValueError, match="no user or password") as refused:
        LipstreamClient("http://me:secret@127.0.0.1:9", avatar="anna")
    assert "secret" not in str(refused.value)
