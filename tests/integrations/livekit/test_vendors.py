"""Plugins of other services, unchanged, whose avatars are ours."""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("livekit.agents", reason="scripts/install --livekit brings LiveKit")

import aiohttp

from tests.integrations.livekit.room import KEY, SECRET
from tests.integrations.livekit.speech import audio_frames, stretches, tone
from tests.integrations.livekit.test_served import SERVER_TOKEN, Scene, run

pytestmark = [pytest.mark.agents, pytest.mark.alone]

VENDORS = Path(sys.prefix) / "vendors"  # by scripts/install --livekit


def plugin(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plugin, which believes to be inside of a job of LiveKit's."""
    if not (VENDORS / "livekit/plugins" / name).exists():
        pytest.skip(f"the plugin for {name} is missing; scripts/install --livekit brings it")
    monkeypatch.syspath_prepend(str(VENDORS))
    module = importlib.import_module(f"livekit.plugins.{name}.avatar")
    job = SimpleNamespace(local_participant_identity="agent")
    monkeypatch.setattr(module, "get_job_context", lambda: job)
    return module


async def talk(scene: Scene, avatar: Any, *, knows_cuts: bool = True) -> None:
    """Say something to the end and something not; `knows_cuts`: the plugin tells where it was."""
    await avatar.start(
        scene.session,
        scene.room,
        livekit_url=scene.rooms.url,
        livekit_api_key=KEY,
        livekit_api_secret=SECRET,
    )
    await scene.rooms.sees(avatar.avatar_identity)
    sink = scene.session.output.audio
    for seconds, cut in ((1.0, False), (3.0, True)):
        for frame in audio_frames(tone(seconds)):
            await sink.capture_frame(frame)
        sink.flush()
        if cut:
            await asyncio.sleep(0.8)
            sink.clear_buffer()
        said = await asyncio.wait_for(sink.wait_for_playout(), 10)
        assert said.interrupted == cut
        if not cut:
            assert said.playback_position == pytest.approx(seconds, abs=0.04)
        elif knows_cuts:
            assert 0.3 < said.playback_position < 1.5
    await asyncio.sleep(0.3)  # what is on its way
    came = await scene.rooms.measured(avatar.avatar_identity)
    whole, part = stretches(came.heard)
    assert whole.seconds == pytest.approx(1.0, abs=0.06) and 0.3 < part.seconds < 1.5
    await avatar.aclose()


def test_the_plugin_for_anam_has_our_face(monkeypatch: pytest.MonkeyPatch) -> None:
    anam = plugin("anam", monkeypatch)

    async def test(scene: Scene) -> None:
        persona = anam.PersonaConfig(name="Anna", avatarId="face")
        keys = {"api_url": scene.server.url, "api_key": SERVER_TOKEN}
        await talk(scene, anam.AvatarSession(persona_config=persona, **keys))

    run(test)


def test_the_plugin_for_liveavatar_has_our_face(monkeypatch: pytest.MonkeyPatch) -> None:
    liveavatar = plugin("liveavatar", monkeypatch)
    job = SimpleNamespace(token_claims=lambda: SimpleNamespace(identity="agent"))
    monkeypatch.setattr(liveavatar, "get_job_context", lambda: job)

    async def test(scene: Scene) -> None:
        async with aiohttp.ClientSession() as http:
            monkeypatch.setattr(liveavatar.utils.http_context, "http_session", lambda: http)
            avatar = liveavatar.AvatarSession(
                api_url=f"{scene.server.url}/v1/liveavatar/sessions",
                api_key=SERVER_TOKEN,
                avatar_id="face",
            )
            await talk(scene, avatar, knows_cuts=False)  # it tells what it has sent
            avatar._msg_ch.close()  # as at the end of its agent's session
            await avatar._main_atask
            while await asyncio.to_thread(scene.state):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    run(test)


def test_the_plugin_for_bithuman_has_our_face(monkeypatch: pytest.MonkeyPatch) -> None:
    bithuman = plugin("bithuman", monkeypatch)

    async def test(scene: Scene) -> None:
        async with aiohttp.ClientSession() as http:
            monkeypatch.setattr(bithuman.utils.http_context, "http_session", lambda: http)
            avatar = bithuman.AvatarSession(
                api_url=f"{scene.server.url}/v1/bithuman/sessions",
                api_secret=SERVER_TOKEN,
                avatar_id="face",
                model="expression-2",
            )
            await talk(scene, avatar)

    run(test)
