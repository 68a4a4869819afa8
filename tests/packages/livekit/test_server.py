"""The plugin's calls to a server of a few lines."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("livekit.agents", reason="scripts/install --livekit brings LiveKit")

from aiohttp import web
from aiohttp.test_utils import TestServer
from livekit.agents import APIConnectOptions
from livekit.plugins.lipstream import LipstreamException
from livekit.plugins.lipstream.server import AvatarServer

pytestmark = pytest.mark.agents

ROOM = {"url": "wss://rooms.example.org", "token": "t", "agent_identity": "agent"}


@pytest.mark.parametrize("body", ["<html>It works!</html>", "{}", "[]"])
def test_another_program_at_the_address_is_said_at_once(body: str) -> None:
    asked = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(text=body, content_type="text/html")

    async def test() -> None:
        app = web.Application()
        app.router.add_post("/v1/sessions", answer)
        async with TestServer(app) as server:
            avatars = AvatarServer(str(server.make_url("")), None, APIConnectOptions(max_retry=2))
            with pytest.raises(LipstreamException, match="no lipstream server; check server_url"):
                await avatars.open_session("anna", ROOM)

    asyncio.run(test())
    assert asked == 1
