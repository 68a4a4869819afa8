"""Real sessions behind the API: a fault in one of them harms no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import build_avatar
from lipstream.config import MuseTalkConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.live.session.types import Unit
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.registry import open_backend
from lipstream.server.app import create_app
from lipstream.server.avatars.uploads import run_isolated
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.settings import ServeSettings
from tests.fakes import StripeRenderer, blank_avatar, stripe_backend
from tests.media_files import tone, write_wav
from tests.server.app_client import BASE, SDP, Socket, until
from tests.server.viewers import Viewer

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lipstream.media.image import Image

pytestmark = pytest.mark.slow  # real sessions play in real time

PORTRAIT = Path(__file__).parents[1] / "data" / "portrait.png"
PATIENCE_S = 60.0
RATE = 24_000


class FailingRenderer(StripeRenderer):
    """Cannot draw the avatar `broken`."""

    broken: Avatar | None = None

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        if any(r.avatar is self.broken and r.conditioning is not None for r in requests):
            raise RuntimeError("this avatar cannot be drawn")
        return super().render(requests)


@dataclass
class Live:
    """A running application with real sessions."""

    app: FastAPI
    http: httpx.AsyncClient
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def open(self, avatar: str = "face") -> tuple[str, list[Unit]]:
        """A session somebody looks at without WebRTC: its id and the units that come."""
        answer = await self.http.post("/v1/sessions", json={"avatar": avatar})
        assert answer.status_code == 201, answer.text
        session = self.app.state.manager.find(answer.json()["id"])
        units: list[Unit] = []

        async def look() -> None:
            async for unit in session.units():
                units.append(unit)

        self.tasks.append(asyncio.create_task(look()))
        return session.id, units

    def socket(self, session_id: str, rate: int) -> Socket:
        return Socket(self.app, f"/v1/sessions/{session_id}/audio?sample_rate={rate}")

    async def open_socket(self, session_id: str) -> Socket:
        socket = self.socket(session_id, RATE)
        assert await socket.open()
        return socket


@asynccontextmanager
async def open_live(
    engine: Engine, avatars: dict[str, Avatar], settings: ServeSettings | None = None
) -> AsyncIterator[Live]:
    app = create_app(settings or ServeSettings(rate=0, connect_timeout_s=600), engine, avatars)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, timeout=60) as http,
    ):
        live = Live(app, http)
        try:
            yield live
        finally:
            await app.state.manager.close_all("test")
            await asyncio.gather(*live.tasks)


def run(test: Callable[[], Any]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test(), PATIENCE_S)

    asyncio.run(bounded())


def pcm(seconds: float) -> bytes:
    return np.asarray(tone(seconds, RATE) * 20_000, np.int16).tobytes()


async def send_tone(socket: Socket, seconds: float) -> None:
    data = pcm(seconds)
    for start in range(0, len(data), 4_801):
        await socket.send(data[start : start + 4_801])


async def event_of_speech(socket: Socket) -> dict[str, Any]:
    """The next event but `queued`."""
    while (event := await socket.next_event())["type"] == "queued":
        pass
    return event


def spoken_ms(units: list[Unit]) -> int:
    """Milliseconds of speech given out."""
    return 40 * sum(unit.speaking for unit in units)


def whole(units: list[Unit]) -> bool:
    """True when the timeline has no hole."""
    indices = [unit.index for unit in units]
    return indices == sorted(set(indices))


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
            assert spoken_ms(units) == 1000 and whole(units)
            assert spoken_ms(others) == 0 and len(others) > 10
            await socket.leave()

    run(test)


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
            assert spoken_ms(units) == 1000 and whole(units)
            await socket.leave()

    run(test)


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

    run(test)


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
            assert whole(bad_units)
            for socket in sockets:
                await socket.leave()

    run(test)


def test_an_interrupt_silences_at_once_and_returns_what_was_played() -> None:
    async def test() -> None:
        engine = Engine(stripe_backend())
        async with open_live(engine, {"face": blank_avatar(64, 64)}) as live:
            one, units = await live.open()
            socket = await live.open_socket(one)
            await send_tone(socket, 20.0)
            await until(lambda: spoken_ms(units) > 300)
            played = (await live.http.post(f"/v1/sessions/{one}/interrupt")).json()["played_ms"]
            before = spoken_ms(units)
            assert played in (before, before + 40)
            seen = len(units)
            await until(lambda: len(units) > seen + 5)
            assert spoken_ms(units) <= before + 40
            state = (await live.http.get(f"/v1/sessions/{one}")).json()
            assert state["buffered_ms"] == 0 and not state["speaking"]
            await socket.leave()

    run(test)


def constant(value: int, seconds: float, rate: int) -> bytes:
    return np.full(round(seconds * rate), value, "<i2").tobytes()


def levels(units: list[Unit]) -> list[int]:
    """The constant levels that were spoken, one after the other, to the nearest thousand."""
    spoken = [unit.samples for unit in units if unit.speaking]
    middles = [round(int(samples[480]) / 1000) * 1000 for samples in spoken]
    return [level for n, level in enumerate(middles) if n == 0 or level != middles[n - 1]]


@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_a_socket_and_a_file_take_turns(tmp_path: Path, rate: int) -> None:
    """A file that is uploaded while a socket still speaks, at its own rate and at another."""
    file = np.full(24_000, -8_000, np.int16)
    content = write_wav(tmp_path / "a.wav", file, 48_000).read_bytes()

    async def test() -> None:
        engine = Engine(stripe_backend())
        async with open_live(engine, {"face": blank_avatar(64, 64)}) as live:
            one, units = await live.open()
            socket = live.socket(one, rate)
            assert await socket.open()
            await socket.send(constant(4_000, 0.2, rate))
            assert await socket.next_event() == {"type": "queued", "utterance": 1}
            files = {"file": ("a.wav", content)}
            answer = await live.http.post(f"/v1/sessions/{one}/speech", files=files)
            assert answer.json() == {"utterance": 2, "duration_ms": 500}
            for _ in range(3):
                await socket.send(constant(4_000, 0.1, rate))
            await socket.send({"type": "end"})
            events = [await socket.next_event() for _ in range(4)]
            assert [(event["type"], event["utterance"]) for event in events] == [
                ("started", 1),
                ("ended", 1),
                ("started", 2),
                ("ended", 2),
            ]
            assert [event["played_ms"] for event in events[1::2]] == [500, 500]
            assert levels(units) == [4_000, -8_000]
            await socket.leave()

    run(test)


@pytest.mark.parametrize("moment", ["upload", "decode"])
def test_an_interrupt_drops_a_file_that_is_still_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    content = write_wav(tmp_path / "a.wav", np.full(24_000, 8_000, np.int16), 48_000).read_bytes()
    boundary = "speech"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    ).encode()

    async def test() -> None:
        engine = Engine(stripe_backend())
        async with open_live(engine, {"face": blank_avatar(64, 64)}) as live:
            one, units = await live.open()
            path = f"/v1/sessions/{one}"

            async def interrupt(at: str) -> None:
                if at == moment:
                    answer = await live.http.post(f"{path}/interrupt")
                    assert answer.json() == {"played_ms": 0}

            async def body() -> AsyncIterator[bytes]:
                yield head + content[:1_000]
                await until(lambda: live.app.state.manager.find(one).busy)
                await interrupt("upload")
                yield content[1_000:] + f"\r\n--{boundary}--\r\n".encode()

            async def decode(*arguments: Any) -> Any:
                await interrupt("decode")
                return await run_isolated(*arguments)

            monkeypatch.setattr("lipstream.server.api.sessions.run_isolated", decode)
            socket = await live.open_socket(one)
            answer = await live.http.post(
                f"{path}/speech",
                content=body(),
                headers={"content-type": f"multipart/form-data; boundary={boundary}"},
            )
            assert answer.status_code == 409, answer.text
            assert answer.json()["error"]["code"] == "interrupted"
            event = {"type": "interrupted", "utterance": 1, "played_ms": 0}
            assert await socket.next_event() == event
            await send_tone(socket, 0.2)
            await socket.send({"type": "end"})
            events = [await socket.next_event() for _ in range(3)]
            assert [event["type"] for event in events] == ["queued", "started", "ended"]
            assert spoken_ms(units) == 200  # the tone, and nothing of the file
            await socket.leave()

    run(test)


@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_a_replaced_socket_ends_its_words_and_spoils_none(rate: int) -> None:
    async def test() -> None:
        engine = Engine(stripe_backend())
        async with open_live(engine, {"face": blank_avatar(64, 64)}) as live:
            one, units = await live.open()
            first = await live.open_socket(one)
            await first.send(constant(4_000, 0.4, RATE))
            second = live.socket(one, rate)
            assert await second.open()
            await second.send(constant(-8_000, 0.2, rate))  # as soon as it is accepted
            await first.leave()
            await second.send(constant(-8_000, 0.2, rate))
            await second.send({"type": "end"})
            events = [await second.next_event() for _ in range(5)]
            assert {event["type"] for event in events} == {"queued", "started", "ended"}
            ended = [event for event in events if event["type"] == "ended"]
            assert [(event["utterance"], event["played_ms"]) for event in ended] == [
                (1, 400),
                (2, 400),
            ]
            assert levels(units) == [4_000, -8_000]
            await second.leave()

    run(test)


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
            assert all(whole(units) for _, units in opened)

    run(test)


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
            metrics = (await live.http.get("/metrics")).text
            assert "lipstream_first_frame_ms_count 1.0" in metrics
            assert (await live.http.delete(location)).status_code == 200
            assert len(live.app.state.manager) == 0
            await viewer.close()

    run(test)


@pytest.mark.parametrize("kind", ["puppet", "stripes"])
def test_what_a_frame_costs_is_measured(kind: str) -> None:
    backend = open_backend("puppet") if kind == "puppet" else stripe_backend()
    avatar = build_avatar(PORTRAIT) if kind == "puppet" else blank_avatar(64, 64)
    stage = MediaRuntime(Engine(backend), ServeSettings())
    cost = stage.measure(avatar)
    assert cost.drawing > 0 and cost.encoding > 0
    asyncio.run(stage.close())


@pytest.mark.slow
def test_musetalk_talks_behind_the_same_api(models: Path) -> None:
    """The tiny checkpoint on the processor, from an upload to speech."""
    musetalk = MuseTalkConfig(models, device="cpu", version="v15")
    runtime = RuntimeOptions(live=True, pixel_format="i420", batch=4)

    async def test() -> None:
        engine = Engine(open_backend("musetalk", musetalk=musetalk, runtime=runtime))
        async with open_live(engine, {}) as live:
            assert (await live.http.get("/v1/config")).json()["backend"] == "musetalk"
            files = {"file": ("face.png", PORTRAIT.read_bytes(), "image/png")}
            uploaded = (await live.http.post("/v1/avatars", files=files)).json()
            entry = live.app.state.store.find(uploaded["id"])
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

    run(test)
