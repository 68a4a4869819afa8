"""OpenAI Realtime with a face: the model listens and speaks, lipstream shows who speaks.

    lipstream serve --avatar face=examples/portrait_closed.png --origin http://127.0.0.1:8081
    OPENAI_API_KEY=... python examples/realtime.py   # then open http://127.0.0.1:8081

`--url` is any server with the events of OpenAI's Realtime API over WebSocket. When the viewer
speaks, the face is silent at once, and the model is told how much of its answer was heard. Where
the lipstream server has a token, LIPSTREAM_TOKEN holds it. Needs lipstream's extra `server`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
from collections import deque
from dataclasses import dataclass
from urllib.parse import quote

from talk_page import (
    MAX_MESSAGE_BYTES,
    RATE,
    Event,
    Face,
    Trouble,
    Viewer,
    first_to_end,
    serve,
    talk_parser,
)
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

PCM = {"type": "audio/pcm", "rate": RATE}
BYTES_PER_MS = RATE * 2 // 1000
MAX_EVENT = 16 * 1024 * 1024  # bytes
MAX_WAITING = 2_000  # pieces of speech that wait for the face; minutes of it
RETRY_S, MAX_RETRY_S = 1.0, 30.0  # between two attempts to connect
MAX_OVER = 100  # items that are remembered, as their sound may still come
LOST = "The realtime service is gone; a new conversation begins."
STALLED = "The realtime service stopped in the middle of an answer; say it again."


@dataclass
class Answer:
    """An item of the conversation that the model speaks."""

    service: ClientConnection
    item: str
    content_index: int
    received: int = 0  # bytes
    sent: bool = False  # the face has some of it
    cut: bool = False  # interrupted: what still comes of it is not spoken


class Conversation:
    """The viewer's sound goes to the service, the service's sound to the face."""

    def __init__(self, viewer: Viewer, face: Face, options: argparse.Namespace) -> None:
        self._viewer, self._face, self._options = viewer, face, options
        self._service: ClientConnection | None = None
        self._answer: Answer | None = None  # that is being received
        self._answers: list[Answer] = []  # not yet spoken to the end
        self._over: deque[str] = deque(maxlen=MAX_OVER)  # items of which no more is spoken
        self._retry_s = RETRY_S
        self._opening: deque[Answer] = deque()  # whose utterances the face has yet to name
        self._spoken: dict[int, Answer] = {}  # by utterance
        self._speech: asyncio.Queue[tuple[Answer, bytes]] = asyncio.Queue(MAX_WAITING)

    async def run(self) -> None:
        await first_to_end(
            self._face.run(self._follow), self._listen(), self._connect(), self._speak()
        )

    async def _listen(self) -> None:
        """Give the service what the microphone hears; it finds the words in it."""
        async for pcm in self._viewer.microphone(RATE):
            audio = base64.b64encode(pcm).decode()
            await self._tell_service(type="input_audio_buffer.append", audio=audio)

    async def _connect(self) -> None:
        """Keep a connection to the service."""
        key = os.environ.get("OPENAI_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = f"{self._options.url}?model={quote(self._options.model)}"
        while True:
            try:
                async with connect(url, additional_headers=headers, max_size=MAX_EVENT) as service:
                    self._service = service
                    await self._tell_service(type="session.update", session=self._settings())
                    await self._receive(service)
            except InvalidStatus as error:
                code = error.response.status_code
                raise Trouble(
                    f"The realtime service answered {code}; check --url, --model and "
                    "OPENAI_API_KEY."
                ) from None
            except (OSError, WebSocketException):
                await self._viewer.tell(LOST)
            finally:
                self._service = None
            await self._finish()
            await asyncio.sleep(self._retry_s)
            self._retry_s = min(2 * self._retry_s, MAX_RETRY_S)

    async def _receive(self, service: ClientConnection) -> None:
        """Take the service's events; an answer that stalls is ended with what came."""
        while True:
            try:
                stall_s = self._options.stall_s if self._answer is not None else None
                message = await asyncio.wait_for(service.recv(), stall_s)
                await self._take(json.loads(message))
                self._retry_s = RETRY_S
            except asyncio.TimeoutError:
                await self._viewer.tell(STALLED)
                await self._tell_service(type="response.cancel")
                await self._finish()
            except (ValueError, LookupError, TypeError, AttributeError):
                await self._viewer.tell("The realtime service sent what is no event of it.")

    async def _take(self, event: Event) -> None:
        kind = event["type"]
        if kind == "response.output_audio.delta":
            await self._queue(event, base64.b64decode(event["delta"], validate=True))
        elif kind == "response.output_audio_transcript.done":
            await self._viewer.send(type="answer", text=event["transcript"])
        elif kind in ("response.output_audio.done", "response.done"):
            await self._finish()
        elif kind == "input_audio_buffer.speech_started":
            await self._interrupt()
        elif kind == "error":
            await self._viewer.tell(f"The realtime service: {event['error']['message']}")

    async def _queue(self, event: Event, pcm: bytes) -> None:
        item = event["item_id"]
        if self._answer is None or self._answer.item != item:
            await self._finish()
            if item in self._over or self._service is None:
                return
            self._answer = Answer(self._service, item, event.get("content_index", 0))
            self._answers.append(self._answer)
        self._answer.received += len(pcm)
        for start in range(0, len(pcm), MAX_MESSAGE_BYTES):
            await self._speech.put((self._answer, pcm[start : start + MAX_MESSAGE_BYTES]))

    async def _finish(self) -> None:
        """No more is spoken of the answer but what has come."""
        if (answer := self._answer) is not None:
            self._answer = None
            self._over.append(answer.item)
            await self._speech.put((answer, b""))

    async def _speak(self) -> None:
        """Send speech to the face, which takes a minute of it ahead."""
        while True:
            answer, pcm = await self._speech.get()
            if not pcm:
                if answer.sent:
                    await self._face.end()
            elif not answer.cut:
                if not answer.sent:
                    answer.sent = True
                    self._opening.append(answer)
                await self._face.send(pcm)

    async def _interrupt(self) -> None:
        """The viewer speaks. How much was heard of what was sent comes as an event of the face."""
        unheard = [answer for answer in self._answers if not answer.sent]
        for answer in self._answers:
            answer.cut = True
        self._answers = [answer for answer in self._answers if answer.sent]
        for answer in unheard:  # while this waits, others may end
            await self._truncate(answer, 0)
        await self._finish()
        await self._face.interrupt()

    async def _follow(self, event: Event) -> None:
        """Take what the face says of its utterances."""
        if event["type"] == "queued" and self._opening:
            self._spoken[event["utterance"]] = self._opening.popleft()
        elif event["type"] in ("ended", "interrupted", "failed"):
            answer = self._spoken.pop(event.get("utterance", 0), None)
            if answer is None:
                return
            self._answers.remove(answer)
            if event["type"] != "ended":
                answer.cut = True
                await self._truncate(answer, event["played_ms"])

    async def _truncate(self, answer: Answer, played_ms: int) -> None:
        """Tell the service what was heard; it refuses more than it has sent, and nothing at all."""
        heard_ms = min(played_ms, answer.received // BYTES_PER_MS)
        about: Event = {"item_id": answer.item}
        if heard_ms:
            about |= {"content_index": answer.content_index, "audio_end_ms": heard_ms}
        kind = "truncate" if heard_ms else "delete"
        await send(answer.service, type=f"conversation.item.{kind}", **about)

    async def _tell_service(self, **event: object) -> None:
        if self._service is not None:
            await send(self._service, **event)

    def _settings(self) -> Event:
        # The service's own voice activity detection cancels its answer and begins the next.
        turns = {"type": "server_vad", "create_response": True, "interrupt_response": True}
        return {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": self._options.instructions,
            "audio": {
                "input": {"format": PCM, "turn_detection": turns},
                "output": {"format": PCM, "voice": self._options.voice},
            },
        }


async def send(service: ClientConnection, **event: object) -> None:
    with contextlib.suppress(ConnectionClosed):  # `_connect` tells
        await service.send(json.dumps(event))


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = talk_parser(__doc__)
    options.add_argument("--url", default="wss://api.openai.com/v1/realtime")
    options.add_argument("--model", default="gpt-realtime")
    options.add_argument("--voice", default="marin")
    options.add_argument("--instructions", default="Answer in one to three short sentences.")
    options.add_argument(
        "--stall-s", type=float, default=10.0, help="silence in an answer that ends it, in seconds"
    )
    return options


if __name__ == "__main__":
    options = parser().parse_args()
    serve(options, lambda viewer, face: Conversation(viewer, face, options).run())
