"""The Realtime example with a real lipstream server, and a stub of the service."""

from __future__ import annotations

import base64
import contextlib
import http
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import AsyncMock

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.examples.talk_stage import Page, example, open_page, run_scene
from tests.media_files import tone
from tests.server.app_client import until
from tests.server.live_client import spoken_ms

KEY = "sk-secret-of-the-test"
RATE = 24_000
BYTES_PER_MS = 48


@dataclass
class RealtimeStub:
    """A service: what it was told, and the connections to it."""

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    connections: list[ServerConnection] = field(default_factory=list)
    refuses: bool = False
    audio: int = 0  # bytes

    async def take(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                event = json.loads(message)
                if event["type"] == "input_audio_buffer.append":
                    self.audio += len(base64.b64decode(event["audio"]))
                else:
                    self.events.append(event)

    def check(self, connection: ServerConnection, request: Request) -> Response | None:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert request.path == "/v1/realtime?model=gpt-realtime"
        refusal = http.HTTPStatus.UNAUTHORIZED, f"no {KEY}"
        return connection.respond(*refusal) if self.refuses else None

    async def tell(self, kind: str, **event: Any) -> None:
        await self.connections[-1].send(json.dumps({"type": kind, **event}))

    async def speak(self, item: str, ms: int) -> None:
        """Send so much sound of an item, in pieces that end within a sample."""
        sound = np.round(tone(ms / 1000, RATE) * 20_000).astype("<i2").tobytes()
        for start in range(0, len(sound), 9_601):
            delta = base64.b64encode(sound[start : start + 9_601]).decode()
            about = {"item_id": item, "output_index": 0, "content_index": 0}
            await self.tell("response.output_audio.delta", delta=delta, **about)

    async def finish(self, item: str) -> None:
        await self.tell("response.output_audio_transcript.done", item_id=item, transcript=item)
        await self.tell("response.output_audio.done", item_id=item)
        await self.tell("response.done", response={"status": "completed"})

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]


@contextlib.asynccontextmanager
async def realtime_stub() -> AsyncIterator[RealtimeStub]:
    """A running service."""
    stub = RealtimeStub()
    async with serve(stub.take, "127.0.0.1", 0, process_request=stub.check) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        stub.url = f"ws://127.0.0.1:{port}/v1/realtime"
        yield stub


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(example("realtime"), "RETRY_S", 0.01)


def play(scene: Callable[[Page, RealtimeStub], Awaitable[None]], *options: str) -> None:
    """Run `scene` with somebody who talks with the service."""
    realtime = example("realtime")

    async def run() -> None:
        async with realtime_stub() as stub:
            chosen = realtime.parser().parse_args(["--url", stub.url, *options])

            async def converse(viewer: Any, face: Any) -> None:
                await realtime.Conversation(viewer, face, chosen).run()

            async with open_page(converse) as page:
                await until(lambda: bool(stub.told("session.update")))
                await scene(page, stub)

    run_scene(run)


def test_an_answer_is_spoken_and_the_microphone_is_passed_on() -> None:
    async def scene(page: Page, stub: RealtimeStub) -> None:
        session = stub.events[0]["session"]
        assert session["type"] == "realtime" and session["output_modalities"] == ["audio"]
        assert session["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": RATE}
        await page.socket.send(bytes(32_000))  # a second
        await until(lambda: stub.audio > 0.9 * RATE * 2)
        await stub.speak("hello", 400)
        await stub.finish("hello")
        await until(lambda: spoken_ms(page.units) >= 400)
        assert page.messages == [("answer", "hello")]
        await stub.speak("again", 400)
        await stub.finish("again")
        await until(lambda: spoken_ms(page.units) >= 800)
        assert len(stub.events) == 1  # nothing was truncated

    play(scene)


def test_an_interrupt_tells_the_service_what_was_heard() -> None:
    async def scene(page: Page, stub: RealtimeStub) -> None:
        await stub.speak("long", 70_000)  # more than the face takes ahead
        await until(lambda: spoken_ms(page.units) >= 200)
        await stub.speak("waiting", 200)
        await stub.tell("input_audio_buffer.speech_started", item_id="question")
        await until(lambda: bool(stub.told("conversation.item.truncate")))
        (truncate,) = stub.told("conversation.item.truncate")
        assert truncate["item_id"] == "long" and truncate["content_index"] == 0
        assert 200 <= truncate["audio_end_ms"] <= spoken_ms(page.units)
        await until(lambda: bool(stub.told("conversation.item.delete")))
        assert [e["item_id"] for e in stub.told("conversation.item.delete")] == ["waiting"]
        before = spoken_ms(page.units)
        await stub.speak("long", 1_000)  # was on its way; nobody wants it any more
        await stub.speak("next", 400)
        await stub.finish("next")
        await until(lambda: spoken_ms(page.units) >= before + 400)
        await until(lambda: not page.units[-1].speaking)
        assert spoken_ms(page.units) < before + 800
        assert not page.texts("trouble")

    play(scene)


def test_an_answer_that_ends_during_an_interrupt_spares_no_other() -> None:
    realtime = example("realtime")

    async def scene() -> None:
        talk = realtime.Conversation(AsyncMock(), AsyncMock(), None)
        service = AsyncMock()

        async def end_first(event: str) -> None:
            await talk._follow({"type": "ended", "utterance": 1, "played_ms": 9})

        service.send.side_effect = end_first
        spoken, waiting, last = (realtime.Answer(service, item, 0) for item in "abc")
        spoken.sent = True
        talk._answers, talk._spoken = [spoken, waiting, last], {1: spoken}
        await talk._interrupt()
        told = [json.loads(sent.args[0])["item_id"] for sent in service.send.mock_calls]
        assert told == ["b", "c"] and last.cut and talk._answers == []

    run_scene(scene)


@pytest.mark.full
def test_faults_of_the_service_are_one_sentence_each_and_the_talk_goes_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def scene(page: Page, stub: RealtimeStub) -> None:
        await stub.tell("error", error={"message": "it is busy."})
        await stub.connections[-1].send("{oops")
        await stub.tell("response.output_audio.delta", item_id="x", delta="no base64")
        strange = "The realtime service sent what is no event of it."
        told = ["The realtime service: it is busy.", strange, strange]
        await until(lambda: page.texts("trouble") == told)
        await stub.speak("cut off", 400)
        await stub.connections[-1].close(1011)
        told.append("The realtime service is gone; a new conversation begins.")
        await until(lambda: page.texts("trouble") == told and len(stub.connections) == 2)
        await until(lambda: spoken_ms(page.units) >= 400)  # what came is spoken
        await stub.speak("whole", 400)
        await stub.finish("whole")
        await until(lambda: spoken_ms(page.units) >= 800)
        stub.refuses = True
        await stub.connections[-1].close()
        sentence = "The realtime service answered 401; check --url, --model and OPENAI_API_KEY."
        await until(lambda: page.texts("trouble")[-1] == sentence)
        await until(lambda: page.over)
        assert KEY not in "".join(capfd.readouterr()) + str(page.messages)

    play(scene)


@pytest.mark.full
def test_an_answer_that_stalls_is_ended_with_what_came() -> None:
    async def scene(page: Page, stub: RealtimeStub) -> None:
        await stub.speak("half", 400)
        await until(lambda: page.texts("trouble") != [])
        assert "stopped in the middle of an answer" in page.texts("trouble")[0]
        assert stub.told("response.cancel")
        await stub.speak("half", 400)  # too late
        await stub.speak("next", 400)
        await stub.finish("next")
        await until(lambda: page.units[-1].speaking)
        await until(lambda: spoken_ms(page.units) >= 800 and not page.units[-1].speaking)
        assert spoken_ms(page.units) < 1_200

    play(scene, "--stall-s", "1")
