"""Real sessions behind the API: a fault in one of them harms no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import build_avatar
from lipstream.config import MuseTalkConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.registry import open_backend
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.settings import ServeSettings
from tests.fakes import StripeRenderer, blank_avatar, stripe_backend
from tests.media_files import tone, write_wav
from tests.server.app_client import SDP, until
from tests.server.live_client import (
    event_of_speech,
    in_order,
    open_live,
    run_live,
    send_tone,
    spoken_ms,
)
from tests.server.viewers import Viewer

if TYPE_CHECKING:
    from lipstream.media.image import Image

pytestmark = pytest.mark.slow  # real sessions play in real time

PORTRAIT = Path(__file__).parents[1] / "data" / "portrait.png"


class FailingRenderer(StripeRenderer):
    """Cannot draw the avatar `broken`."""

    broken: Avatar | None = None

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        if any(r.avatar is self.broken and r.conditioning is not None for r in requests):
            raise RuntimeError("this avatar cannot be drawn")
        return super().render(requests)


def test_speech_comes_out_of_the_session_it_went_into() -> None:
    async def test() -> None:
        engine = Engine(stripe_backend())
        async with open_live(engine, {"face": blank_avatar(64, 64)}) as live:
            one, units = await live.open()
            _, others = await live.open()
            socket = await live.open_socket(one)
            await send_tone(socket, 1.0)
            await socket.send({"type": "end"})
            assert (await event_of_speech(socket))["type"] == "started"
            ended = await event_of_speech(socket)
            assert ended["type"] == "ended" and ended["played_ms"] == 1000
            assert spoken_ms(units) == 1000 and in_order(units)
            assert spoken_ms(others) == 0 and len(others) > 10
            await socket.leave()

    run_live(test)


def test_a_hole_in_the_speech_is_waited_out() -> None:
    async def test() -> None:
        engine = Engine(stripe_backend())
        async with open_live(engine, {"face": blank_avatar(64, 64)}) as live:
            one, units = await live.open()
            socket = await live.open_socket(one)
            await send_tone(socket, 0.6)
            assert (await event_of_speech(socket))["type"] == "started"
            seen = len(units)
            await until(lambda: len(units) > seen + 75)  # 2 s of it with nothing to say
            await send_tone(socket, 0.4)
            await socket.send({"type": "end"})
            ended = await event_of_speech(socket)
            assert ended["type"] == "ended" and ended["played_ms"] == 1000
            assert spoken_ms(units) == 1000 and in_order(units)
            await socket.leave()

    run_live(test)


def test_a_socket_that_dies_in_mid_sentence_leaves_a_session_that_goes_on() -> None:
    async def test() -> None:
        engine = Engine(stripe_backend())
        async with open_live(engine, {"face": blank_avatar(64, 64)}) as live:
            one, units = await live.open()
            socket = await live.open_socket(one)
            await send_tone(socket, 0.48)
            await socket.leave()
            await until(lambda: spoken_ms(units) == 480)
            socket = await live.open_socket(one)
            await send_tone(socket, 0.3)
            await socket.send({"type": "end"})
            assert [(await event_of_speech(socket))["type"] for _ in range(2)] == [
                "started",
                "ended",
            ]
            await socket.leave()

    run_live(test)


def test_a_renderer_that_raises_harms_only_the_session_it_draws() -> None:
    async def test() -> None:
        renderer = FailingRenderer()
        engine = Engine(replace(stripe_backend(), renderer=renderer))
        avatars = {"face": blank_avatar(64, 64), "bad": blank_avatar(64, 64)}
        async with open_live(engine, avatars) as live:
            renderer.broken = avatars["bad"]
            bad, bad_units = await live.open("bad")
            good, good_units = await live.open("face")
            sockets = [await live.open_socket(bad), await live.open_socket(good)]
            for socket in sockets:
                await send_tone(socket, 1.0)
                await socket.send({"type": "end"})
            events = [await event_of_speech(sockets[0])]
            while events[-1]["type"] not in ("error", "ended"):
                events.append(await event_of_speech(sockets[0]))
            assert events[-1]["code"] == "render_failed"
            assert [(await event_of_speech(sockets[1]))["type"] for _ in range(2)] == [
                "started",
                "ended",
            ]
            assert spoken_ms(good_units) == 1000
            renderer.broken = None
            await send_tone(sockets[0], 0.2)
            await sockets[0].send({"type": "end"})
            while (event := await event_of_speech(sockets[0]))["type"] != "ended":
                assert event["type"] == "started"
            assert in_order(bad_units)
            for socket in sockets:
                await socket.leave()

    run_live(test)


def test_one_session_too_many_is_refused_and_no_other_is_harmed() -> None:
    async def test() -> None:
        engine = Engine(stripe_backend())
        settings = ServeSettings(rate=0, connect_timeout_s=600, max_sessions=2)
        async with open_live(engine, {"face": blank_avatar(64, 64)}, settings) as live:
            opened = [await live.open() for _ in range(2)]
            asked = [live.http.post("/v1/sessions", json={"avatar": "face"}) for _ in range(20)]
            answers = await asyncio.gather(*asked)
            assert {answer.status_code for answer in answers} == {503}
            await until(lambda: all(len(units) > 20 for _, units in opened))
            assert all(in_order(units) for _, units in opened)

    run_live(test)


def test_the_puppet_is_seen_and_heard_by_a_player(tmp_path: Path) -> None:
    """Everything there is, once: a real backend, a file that is spoken, and WebRTC."""
    pcm16 = np.asarray(tone(1.0, 16_000) * 20_000, np.int16)
    wav = write_wav(tmp_path / "a.wav", pcm16, 16_000).read_bytes()

    async def test() -> None:
        engine = Engine(open_backend("puppet"))
        avatar = await asyncio.to_thread(build_avatar, PORTRAIT)
        async with open_live(engine, {"face": avatar}, ServeSettings(rate=0)) as live:
            assert (await live.http.get("/v1/config")).json()["max_sessions"] >= 1
            viewer = Viewer()
            answer = await live.http.post(
                "/whep?avatar=face", content=await viewer.offer(), headers=SDP
            )
            assert answer.status_code == 201, answer.text
            await viewer.take(answer.text)
            await until(lambda: len(viewer.pictures) > 5)
            location = answer.headers["Location"]
            session = location.partition("/whep")[0]
            state = (await live.http.get(session)).json()
            assert state["state"] == "connected"
            files = {"file": ("a.wav", wav, "audio/wav")}
            assert (await live.http.post(f"{session}/speech", files=files)).status_code == 202
            await until(lambda: any(np.abs(piece.samples).max() > 0.2 for piece in viewer.sounds))
            assert viewer.pictures[-1].size == (256, 256)
            metrics = (await live.worker.get("/metrics")).text
            assert "lipstream_first_frame_ms_count 1.0" in metrics
            assert (await live.http.delete(location)).status_code == 200
            assert len(live.app.state.manager) == 0
            await viewer.close()

    run_live(test)


@pytest.mark.parametrize("kind", ["puppet", "stripes"])
def test_what_a_frame_costs_is_measured(kind: str) -> None:
    backend = open_backend("puppet") if kind == "puppet" else stripe_backend()
    avatar = build_avatar(PORTRAIT) if kind == "puppet" else blank_avatar(64, 64)
    runtime = MediaRuntime(Engine(backend), ServeSettings())
    cost = runtime.measure(avatar)
    assert cost.drawing > 0 and cost.encoding > 0 and cost.sending > 0
    again = runtime.measure(avatar, cost)
    assert again.drawing > 0 and replace(again, drawing=cost.drawing) == cost
    asyncio.run(runtime.close())


def test_musetalk_talks_behind_the_same_api(models: Path) -> None:
    """The tiny checkpoint on the processor, from an upload to speech."""
    musetalk = MuseTalkConfig(models, device="cpu", version="v15")
    runtime = RuntimeOptions(live=True, pixel_format="i420", batch=4)

    async def test() -> None:
        engine = Engine(open_backend("musetalk", musetalk=musetalk, runtime=runtime))
        async with open_live(engine, {}, measures=True) as live:
            assert (await live.http.get("/v1/config")).json()["backend"] == "musetalk"
            files = {"file": ("face.png", PORTRAIT.read_bytes(), "image/png")}
            uploaded = (await live.http.post("/v1/avatars", files=files)).json()
            entry = await live.app.state.registry.find(uploaded["id"])
            await until(lambda: entry.status != "preparing")
            assert entry.status == "ready", entry.reason
            one, units = await live.open(uploaded["id"])
            socket = await live.open_socket(one)
            await send_tone(socket, 0.12)
            await socket.send({"type": "end"})
            while (event := await event_of_speech(socket))["type"] != "ended":
                assert event["type"] == "started"
            assert spoken_ms(units) == 120
            await socket.leave()

    run_live(test)
