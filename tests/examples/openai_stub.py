"""OpenAI's API on this machine: transcriptions, chat completions, and speech."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

KEY = "sk-secret-of-the-test"
HOLD = "<hold>"  # in an answer: wait for the gate
BREAK = "<break>"  # in an answer: break off


@dataclass
class OpenAIStub:
    """What it answers, and what it was asked."""

    answer: list[str] = field(default_factory=list)  # of the model, piece by piece
    question: str = "What time is it?"
    fault: str = ""  # the path that answers 500, or with something that is no JSON
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)  # in the middle of an answer
    turns: list[float] = field(default_factory=list)  # seconds of each
    asked: list[list[dict[str, Any]]] = field(default_factory=list)  # messages
    spoken: list[str] = field(default_factory=list)
    speech: bytes = b"\x00\x20" * 6_000  # 250 ms

    def app(self) -> Starlette:
        paths = {
            "/v1/audio/transcriptions": self._transcribe,
            "/v1/chat/completions": self._complete,
            "/v1/audio/speech": self._speak,
        }
        return Starlette(routes=[Route(p, call, methods=["POST"]) for p, call in paths.items()])

    def _refusal(self, request: Request) -> Response | None:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        if self.fault == request.url.path:
            return JSONResponse({"error": {"message": f"no {KEY}"}}, 500)
        return PlainTextResponse("data: {oops") if self.fault == f"{request.url.path}?" else None

    async def _transcribe(self, request: Request) -> Response:
        async with request.form() as form:
            file = form["file"]
            assert not isinstance(file, str)
            with wave.open(io.BytesIO(await file.read())) as sound:
                assert (sound.getframerate(), sound.getnchannels()) == (16_000, 1)
                self.turns.append(sound.getnframes() / 16_000)
        return self._refusal(request) or JSONResponse({"text": f" {self.question}\n"})

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        assert body["stream"] is True
        self.asked.append(body["messages"])
        return self._refusal(request) or StreamingResponse(
            self._write(), media_type="text/event-stream"
        )

    async def _write(self) -> AsyncIterator[str]:
        yield ": a comment\n\n" + _event({"choices": [{"delta": {"role": "assistant"}}]})
        for piece in self.answer:
            if piece == HOLD:
                try:
                    await self.gate.wait()
                except asyncio.CancelledError:
                    self.hung_up.set()
                    raise
            elif piece == BREAK:
                raise ConnectionError
            else:
                yield _event({"choices": [{"delta": {"content": piece}}]})
        yield _event({"choices": [], "usage": {}}) + "data: [DONE]\n\n"

    async def _speak(self, request: Request) -> Response:
        body = await request.json()
        self.spoken.append(body["input"])
        return Response(self.speech, media_type="audio/pcm")


def _event(chunk: dict[str, Any]) -> str:
    return f"data: {json.dumps(chunk)}\n\n"
