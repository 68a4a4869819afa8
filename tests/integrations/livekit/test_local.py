"""A whole agent that draws its face in its own process, in a room of a real client."""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

pytest.importorskip("livekit.agents", reason="scripts/install --livekit brings LiveKit")

from livekit import rtc
from livekit.agents import AgentSession
from livekit.plugins.lipstream import AvatarSession, LipstreamException

from lipstream.engine import Engine
from lipstream.integrations.livekit.local_avatar import LocalAvatar
from lipstream.media.image import Image
from lipstream.rendering.base import FrameRequest
from tests import timed
from tests.fakes import StripeRenderer, blank_avatar, stripe_backend
from tests.integrations.livekit.conversation import Ledger, converse
from tests.integrations.livekit.room import open_rooms, token
from tests.integrations.livekit.speech import audio_frames, stretches, tone
from tests.integrations.livekit.verdict import PREFETCH_S, Verdict, hold, judge

pytestmark = [pytest.mark.agents, pytest.mark.alone]

# LIPSTREAM_UTTERANCES=50 says as many: a minute.
UTTERANCES = int(os.environ.get("LIPSTREAM_UTTERANCES", "12"))
SIDE = 192
COMPLETE_S = 0.04  # aiortc takes a picture for whole when the next one comes
MAX_APART_MS = 40.0
PORTRAIT = Path(__file__).resolve().parents[3] / "examples/portrait_closed.png"


def test_an_agent_is_told_of_each_utterance_once_and_rightly() -> None:
    async def scene() -> Verdict:
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
            return judge(ledger.said, came)

    hold(lambda: asyncio.run(asyncio.wait_for(scene(), 30 + 8 * UTTERANCES)))


def test_pictures_and_sound_come_together() -> None:
    """A picture that is white in speech, and a tone: how far apart they come, in milliseconds."""

    async def scene() -> float:
        async with open_rooms() as rooms:
            room = rtc.Room()
            await room.connect(rooms.url, token("agent"))
            white = Engine(stripe_backend(renderer=WhiteInSpeech()))
            avatar = LocalAvatar(white, blank_avatar(SIDE, SIDE))
            await avatar.start(room)
            await rooms.sees("agent")
            for _ in range(5):
                for frame in audio_frames(tone(0.5)):
                    await avatar.output.capture_frame(frame)
                avatar.output.flush()
                await avatar.output.wait_for_playout()
                await asyncio.sleep(0.4)
            came = await rooms.measured("agent")
            await avatar.close()
            await room.disconnect()
        pairs = zip(came.seen, came.seen[1:], strict=False)
        pictures = [now.at - COMPLETE_S for last, now in pairs if last.luma < 128 <= now.luma]
        sounds = [one.begin - PREFETCH_S for one in stretches(came.heard)]
        offsets = [1000 * (a - b) for a, b in zip(pictures, sounds, strict=True)]
        return statistics.median(offsets)

    done = timed.measure_until(lambda: asyncio.run(scene()), lambda ms: abs(ms) <= MAX_APART_MS)
    print(done)
    timed.judge(abs(done[-1].value) <= MAX_APART_MS, done, done)


class WhiteInSpeech(StripeRenderer):
    """Paints all of a picture white that shows speech, and black else."""

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        shades = [0 if request.conditioning is None else 255 for request in requests]
        return [np.full((SIDE, SIDE, 3), shade, np.uint8) for shade in shades]


def test_the_plugin_draws_a_portrait_in_this_process(tmp_path: Path) -> None:
    """From a picture to a room, one utterance and one interrupt; then the agent goes on alone."""

    async def scene() -> None:
        async with open_rooms() as rooms:
            room, session = rtc.Room(), AgentSession[None]()
            await room.connect(rooms.url, token("agent"))
            avatar = AvatarSession(avatar=str(PORTRAIT), motion="calm")
            await avatar.start(session, room)
            await avatar.wait_for_join(timeout=20.0)
            await rooms.sees("agent")
            sink = session.output.audio
            for frame in audio_frames(tone(0.5)):
                await sink.capture_frame(frame)
            sink.flush()
            said = await sink.wait_for_playout()
            assert not said.interrupted and said.playback_position == pytest.approx(0.5, abs=0.04)
            for frame in audio_frames(tone(3.0)):
                await sink.capture_frame(frame)
            await asyncio.sleep(0.6)
            sink.flush()
            sink.clear_buffer()
            cut = await sink.wait_for_playout()
            assert cut.interrupted and cut.playback_position < 1.0
            await avatar.aclose()
            await avatar.aclose()
            assert room.isconnected()
            with pytest.raises(LipstreamException, match="motion must be one of still, calm"):
                AvatarSession(avatar=str(PORTRAIT), motion="wild")
            picture = tmp_path / "empty.png"
            PillowImage.new("RGB", (256, 256)).save(picture)
            with pytest.raises(LipstreamException, match="face"):
                await AvatarSession(avatar=str(picture)).start(session, room)
            await session.aclose()
            await room.disconnect()

    asyncio.run(asyncio.wait_for(scene(), 60))
