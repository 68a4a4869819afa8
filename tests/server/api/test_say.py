"""Text to say and captions: by HTTP, by WebSocket, and what comes back when they are heard."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lipstream.engine import Engine
from lipstream.errors import SynthesisError
from tests.fake_synthesizer import SpellingSynthesizer, heard, spelled
from tests.fakes import blank_avatar, stripe_backend
from tests.server.app_client import AppClient, run_client, until
from tests.server.app_socket import Socket
from tests.server.live_client import LiveClient, open_live, run_live

Scene = Callable[[LiveClient], Awaitable[None]]


def play(scene: Scene, voice: SpellingSynthesizer) -> None:
    """Run `scene` with a server of real sessions that has a voice."""

    async def test() -> None:
        avatars = {"face": blank_avatar()}
        async with open_live(Engine(stripe_backend()), avatars, synthesizer=voice) as live:
            await scene(live)
        assert voice.closed == 1

    run_live(test)


async def say(live: LiveClient, session: str, text: str, **more: Any) -> Any:
    return await live.http.post(f"/v1/sessions/{session}/say", json={"text": text, **more})


async def events_until(socket: Socket, *kinds: str) -> list[dict[str, Any]]:
    """The next events up to one of these kinds."""
    events = [await socket.next_event()]
    while events[-1]["type"] not in kinds:
        events.append(await socket.next_event())
    return events


def test_a_text_is_spoken_and_captioned() -> None:
    voice = SpellingSynthesizer()

    async def scene(live: LiveClient) -> None:
        session, units = await live.open()
        socket = await live.open_socket(session)
        answer = await say(live, session, "hello you", voice="ben")
        assert answer.status_code == 202 and answer.json() == {"utterance": 1}
        events = await events_until(socket, "ended")
        about = {"type": "caption", "utterance": 1}
        assert events == [
            {"type": "started", "utterance": 1, "played_ms": 0},
            about | {"text": "hello", "at_ms": 0, "until_ms": 100, "opens_line": True},
            about | {"text": "you", "at_ms": 120, "until_ms": 180, "opens_line": False},
            {"type": "ended", "utterance": 1, "played_ms": 180},
        ]
        assert heard(units) == "hello you" and voice.asked == [("hello you", "ben")]
        await socket.leave()
        figures = (await live.worker.get("/metrics")).text
        assert "lipstream_synthesis_first_audio_ms_count 1.0" in figures
        config = (await live.http.get("/v1/config")).json()
        assert config["say"] is True and config["voices"] == ["anna", "ben"]
        assert (await say(live, session, "a * b")).json()["warning"] == "the stars are left out."

    play(scene, voice)


def test_a_failure_is_told_once_and_the_session_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    error = SynthesisError("the provider (/srv/voice/model.bin) answered 500.", "refused")
    voice = SpellingSynthesizer(hangs_at=1, errors={"my secret": error})

    async def scene(live: LiveClient) -> None:
        session, units = await live.open()
        socket = await live.open_socket(session)
        for number, text in enumerate(("my secret", "next"), 1):
            await socket.send({"type": "say", "text": text})
            queued = (await events_until(socket, "queued"))[-1]
            assert queued == {"type": "queued", "utterance": number}
        events = await events_until(socket, "ended")
        assert [event for event in events if event["type"] == "failed"] == [
            {
                "type": "failed",
                "utterance": 1,
                "played_ms": 40,
                "code": "synthesis_failed",
                "message": "the provider (model.bin) answered 500.",
            }
        ]
        assert events[-1]["utterance"] == 2 and heard(units) == "mynext"
        figures = (await live.worker.get("/metrics")).text
        assert 'lipstream_synthesis_failures_total{cause="refused"} 1.0' in figures
        assert "lipstream_synthesis_texts_total 2.0" in figures
        await socket.leave()

    with caplog.at_level("INFO"):
        play(scene, voice)
    assert "could not be spoken" in caplog.text and "secret" not in caplog.text


def test_an_interrupt_ends_a_synthesis_that_hangs() -> None:
    voice = SpellingSynthesizer(hangs_at=0)

    async def scene(live: LiveClient) -> None:
        session, units = await live.open()
        socket = await live.open_socket(session)
        for text in ("one", "two"):
            assert (await say(live, session, text)).status_code == 202
        await until(lambda: voice.asked == [("one", None)])
        assert live.app.state.manager.find(session).busy  # a server that is to stop waits
        await live.http.post(f"/v1/sessions/{session}/interrupt")
        await until(lambda: voice.cancelled == ["one"])
        assert not live.app.state.manager.find(session).busy
        about = {"type": "interrupted", "played_ms": 0}
        assert await socket.next_event() == about | {"utterance": 1}
        assert await socket.next_event() == about | {"utterance": 2}
        voice.hangs_at = None
        await say(live, session, "three")
        await events_until(socket, "ended")
        assert heard(units) == "three" and [text for text, _ in voice.asked] == ["one", "three"]
        await socket.leave()

    play(scene, voice)


def test_the_server_stops_while_a_text_is_synthesized() -> None:
    voice = SpellingSynthesizer(hangs_at=1)

    async def scene(live: LiveClient) -> None:
        session, units = await live.open()
        await say(live, session, "good-morning to you")
        await until(lambda: any(unit.speaking for unit in units))

    play(scene, voice)
    assert voice.cancelled == ["good-morning to you"]


def test_what_cannot_be_said_is_refused_by_http() -> None:
    voice = SpellingSynthesizer(hangs_at=0)

    async def scene(live: LiveClient) -> None:
        session, _ = await live.open()
        for wrong in (
            {"text": ""},
            {"text": "  "},
            {"text": "a" * 5001},
            {"text": "a", "voice": "carla"},
            {"text": "a", "voice": ""},
            {"text": 5},
            {"text": "\ud800"},
            {"text": "a", "speed": 2},
            {},
        ):
            answer = await live.http.post(
                f"/v1/sessions/{session}/say",
                content=json.dumps(wrong),
                headers={"content-type": "application/json"},
            )
            assert answer.status_code == 422, wrong
        assert (await say(live, "0" * 32, "hello")).status_code == 404
        found = [await say(live, session, "hello") for _ in range(5)]
        assert [answer.status_code for answer in found] == [202] * 4 + [429]
        assert int(found[-1].headers["Retry-After"]) > 0
        assert "4 texts wait" in found[-1].json()["error"]["message"]

    play(scene, voice)


def test_a_session_that_interrupts_itself_again_and_again_asks_only_so_often() -> None:
    """Each text may cost a request to a provider."""
    voice = SpellingSynthesizer(hangs_at=0)

    async def scene(live: LiveClient) -> None:
        session, _ = await live.open()
        found = set()
        for _ in range(40):
            found.add((await say(live, session, "hello")).status_code)
            await live.http.post(f"/v1/sessions/{session}/interrupt")
        assert found == {202, 429} and len(voice.asked) < 30

    play(scene, voice)


def test_what_cannot_be_said_is_refused_by_the_socket() -> None:
    voice = SpellingSynthesizer(hangs_at=0)

    async def scene(live: LiveClient) -> None:
        session, _ = await live.open()
        socket = await live.open_socket(session)
        for wrong, code in (
            ({"text": ""}, "bad_message"),
            ({"text": "  "}, "invalid"),
            ({"text": "a", "voice": "carla"}, "invalid"),
            ({"text": "\ud800"}, "bad_message"),
            ({}, "bad_message"),
        ):
            await socket.send({"type": "say", **wrong})
            event = await socket.next_event()
            assert (event["type"], event["code"]) == ("error", code) and event["message"]
        for _ in range(5):
            await socket.send({"type": "say", "text": "hello"})
        events = [await socket.next_event() for _ in range(5)]
        assert [event["type"] for event in events] == ["queued"] * 4 + ["error"]
        assert events[-1]["code"] == "too_many_requests"
        await socket.leave()

    play(scene, voice)


def test_a_server_without_a_voice_says_so() -> None:
    async def test(client: AppClient) -> None:
        config = (await client.http.get("/v1/config")).json()
        assert config["say"] is False and config["voices"] == []
        made = await client.open()
        answer = await client.http.post(made["say_url"], json={"text": "hello"})
        assert answer.status_code == 501 and answer.json()["error"]["code"] == "no_voice"
        assert "--tts" in answer.json()["error"]["message"]
        socket = await client.open_socket(made)
        await socket.send({"type": "say", "text": "hello"})
        assert (await socket.next_event())["code"] == "no_voice"
        await socket.leave()

    run_client(test)


def test_captions_of_a_clients_own_sound_come_back_when_it_is_heard() -> None:
    async def scene(live: LiveClient) -> None:
        session, _ = await live.open()
        socket = live.socket(session, 48_000)
        assert await socket.open()
        await socket.send({"type": "caption", "text": "hello", "at_ms": 0, "until_ms": 100})
        assert await socket.next_event() == {"type": "queued", "utterance": 1}
        await socket.send(spelled("hello you").tobytes())
        await socket.send({"type": "caption", "text": "you", "at_ms": 120, "opens_line": False})
        await socket.send({"type": "end"})
        events = await events_until(socket, "ended")
        about = {"type": "caption", "utterance": 1}
        assert events[1:3] == [
            about | {"text": "hello", "at_ms": 0, "until_ms": 100, "opens_line": True},
            about | {"text": "you", "at_ms": 120, "until_ms": None, "opens_line": False},
        ]
        for wrong in (
            {"text": "", "at_ms": 0},
            {"text": "a", "at_ms": -1},
            {"text": "a", "at_ms": 1.5},
            {"text": "a" * 1001, "at_ms": 0},
            {"text": "a"},
        ):
            await socket.send({"type": "caption", **wrong})
            assert (await socket.next_event())["code"] == "bad_message"
        await socket.send({"type": "caption", "text": "a", "at_ms": 5, "until_ms": 4})
        assert (await events_until(socket, "error"))[-1]["code"] == "bad_caption"
        await socket.leave()

    play(scene, SpellingSynthesizer())
