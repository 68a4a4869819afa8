"""Several speakers in one real session: they take turns, and an interrupt silences them all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.audio.frame import AudioFrame

from lipstream.engine import Engine
from lipstream.live.session.types import Unit
from lipstream.server.api.audio_socket import RATES
from lipstream.server.avatars.uploads import run_isolated
from lipstream.server.rtc.microphone import Microphone
from tests.fakes import blank_avatar, stripe_backend
from tests.media_files import write_wav
from tests.server.app_client import until
from tests.server.live_client import (
    RATE,
    event_of_speech,
    open_live,
    run_live,
    send_tone,
    spoken_ms,
)
from tests.server.rtc.test_microphone import Track, hum, speech

pytestmark = pytest.mark.slow  # real sessions play in real time


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

    run_live(test)


def constant(value: int, seconds: float, rate: int) -> bytes:
    return np.full(round(seconds * rate), value, "<i2").tobytes()


def levels(units: list[Unit]) -> list[int]:
    """The constant levels that were spoken, one after the other, to the nearest thousand."""
    spoken = [unit.samples for unit in units if unit.speaking]
    middles = [round(int(samples[480]) / 1000) * 1000 for samples in spoken]
    return [level for n, level in enumerate(middles) if n == 0 or level != middles[n - 1]]


@pytest.mark.parametrize(
    ("rate", "file_rate"),
    [
        *(pytest.param(rate, 48_000, marks=pytest.mark.full) for rate in RATES),
        (24_000, 8_000),
        (44_100, 22_050),
    ],
)
def test_a_socket_and_a_file_take_turns(tmp_path: Path, rate: int, file_rate: int) -> None:
    """A file that is uploaded while a socket still speaks, at its own rate and at another."""
    file = np.full(file_rate // 2, -8_000, np.int16)
    content = write_wav(tmp_path / "a.wav", file, file_rate).read_bytes()

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

    run_live(test)


@pytest.mark.parametrize(
    "file_rate", [8_000, *(pytest.param(rate, marks=pytest.mark.full) for rate in (44_100, 48_000))]
)
def test_a_microphone_and_a_file_take_turns(tmp_path: Path, file_rate: int) -> None:
    """A file that is uploaded in the middle of words is spoken after them."""
    file = np.full(file_rate // 2, -8_000, np.int16)
    content = write_wav(tmp_path / "a.wav", file, file_rate).read_bytes()

    async def test() -> None:
        engine = Engine(stripe_backend())
        async with open_live(engine, {"face": blank_avatar(64, 64)}) as live:
            one, units = await live.open()
            socket = await live.open_socket(one)  # which only listens
            session = live.app.state.manager.find(one)
            track = Track(np.concatenate([hum(1), speech(1), hum(1)]))
            microphone = Microphone(session.live)

            async def upload() -> Any:
                await until(lambda: session.live.buffered_ms > 0)  # the first words are in
                files = {"file": ("a.wav", content)}
                return await live.http.post(f"/v1/sessions/{one}/speech", files=files)

            uploading = asyncio.create_task(upload())
            listening = asyncio.create_task(microphone.listen(paced(track)))
            assert (await uploading).json() == {"utterance": 2, "duration_ms": 500}
            events = [await event_of_speech(socket) for _ in range(4)]
            await listening
            assert [(event["type"], event["utterance"]) for event in events] == [
                ("started", 1),
                ("ended", 1),
                ("started", 2),
                ("ended", 2),
            ]
            assert events[3]["played_ms"] == 500
            assert levels(units)[-1] == -8_000
            await socket.leave()

    run_live(test)


def paced(track: Track) -> Track:
    """The same track, which lets others run between its pieces."""
    receive = track.recv

    async def recv() -> AudioFrame:
        await asyncio.sleep(0)
        return await receive()

    track.recv = recv  # type: ignore[method-assign]
    return track


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

            monkeypatch.setattr("lipstream.server.avatars.decoders.run_isolated", decode)
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

    run_live(test)


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

    run_live(test)
