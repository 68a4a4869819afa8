"""A whole agent that draws its face in its own process, in a room of a real client."""

from __future__ import annotations

import asyncio
import os

import pytest

pytest.importorskip("livekit.agents", reason="scripts/install --livekit brings LiveKit")

from livekit import rtc
from livekit.agents import AgentSession

from lipstream.engine import Engine
from lipstream.integrations.livekit.local_avatar import LocalAvatar
from tests.fakes import blank_avatar, stripe_backend
from tests.integrations.livekit.conversation import Ledger, converse
from tests.integrations.livekit.room import open_rooms, token
from tests.integrations.livekit.verdict import MIN_FPS, frame_rate, judge

pytestmark = [pytest.mark.agents, pytest.mark.alone]

# LIPSTREAM_UTTERANCES=50 says as many: a minute.
UTTERANCES = int(os.environ.get("LIPSTREAM_UTTERANCES", "12"))
SIDE = 192


def test_an_agent_is_told_of_each_utterance_once_and_rightly() -> None:
    async def scene() -> dict[str, int]:
        async with open_rooms() as rooms:
            room = rtc.Room()
            await room.connect(rooms.url, token("agent"))
            avatar = LocalAvatar(Engine(stripe_backend()), blank_avatar(SIDE, SIDE))
            await avatar.start(room)
            session: AgentSession[None] = AgentSession()
            session.output.replace_audio_tail(avatar.output)
            ledger = Ledger(avatar.output)
            await rooms.sees("agent")
            await converse(session, room, ledger, UTTERANCES)
            await asyncio.sleep(0.3)  # what is on its way
            came = await rooms.measured("agent")
            await session.aclose()
            await avatar.close()
            await room.disconnect()
            assert {(one.width, one.height) for one in came.seen} == {(SIDE, SIDE)}
            print(frame_rate(came.seen))
            assert frame_rate(came.seen) > MIN_FPS
            return judge(ledger.said, came.heard)

    print(asyncio.run(asyncio.wait_for(scene(), 30 + 8 * UTTERANCES)))
