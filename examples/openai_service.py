"""Servers with OpenAI's API: speech to text, and a language model; no program of its own."""

from __future__ import annotations

import contextlib
import io
import json
import wave
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx
from talk_page import Event, Trouble


class Service:
    """A server with OpenAI's API. No sentence about it holds its key."""

    def __init__(
        self, name: str, url: str, model: str, key: str | None, wait_s: float = 20
    ) -> None:
        """`wait_s` is the longest silence between two parts of an answer, in seconds."""
        self.name, self._model = name, model
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.AsyncClient(base_url=url, headers=headers, timeout=wait_s)

    async def transcribe(self, pcm: bytes, rate: int) -> str:
        """The words in s16le mono at `rate`."""
        with io.BytesIO() as file:
            with wave.open(file, "wb") as sound:
                sound.setparams((1, 2, rate, 0, "NONE", ""))
                sound.writeframes(pcm)
            files = {"file": ("turn.wav", file.getvalue(), "audio/wav")}
        async with self._ask("audio/transcriptions", files=files, data={}) as answer:
            await answer.aread()
            return str(answer.json()["text"]).strip()

    async def answer(self, messages: list[Event]) -> AsyncGenerator[str, None]:
        """The model's words, as they come."""
        data = {"messages": messages, "stream": True}
        async with self._ask("chat/completions", data=data) as answer:
            async for line in answer.aiter_lines():
                if (part := line.removeprefix("data:").strip()) == "[DONE]":
                    return
                if part != line.strip():
                    choices = json.loads(part)["choices"] or [{"delta": {}}]
                    yield choices[0]["delta"].get("content") or ""

    @contextlib.asynccontextmanager
    async def _ask(
        self, path: str, data: Event, files: Any = None
    ) -> AsyncIterator[httpx.Response]:
        body = {"model": self._model, **data}
        sent: Event = {"data": body, "files": files} if files else {"json": body}
        try:
            async with self.http.stream("POST", path, **sent) as answer:
                answer.raise_for_status()
                yield answer
        except httpx.HTTPStatusError as error:
            code = error.response.status_code
            raise Trouble(f"{self.name} answered {code}; check its URL, model and key.") from None
        except httpx.TimeoutException:
            raise Trouble(f"{self.name} does not answer; say it again.") from None
        except httpx.HTTPError:
            raise Trouble(f"{self.name} cannot be reached or broke off; check its URL.") from None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise Trouble(f"{self.name} answered something else than OpenAI's API does.") from None
