"""A stage for the examples that talk: a real lipstream server, their page, and somebody on it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import socket
import sys
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from lipstream.engine import Engine
from lipstream.live.session.types import Unit
from lipstream.server.app import create_app
from lipstream.server.settings import ServeSettings
from lipstream.speech.synthesis.base import Synthesizer
from tests.fakes import blank_avatar, stripe_backend
from tests.server.app_client import until
from tests.server.known_cost import KnownCostRuntime

if TYPE_CHECKING:
    from starlette.types import ASGIApp

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RATE = 16_000  # Hz of the microphone
WORDS = slice(int(0.2 * RATE) * 2, int(1.3 * RATE) * 2)  # bytes of examples/speech.wav
SILENCE = bytes(int(0.8 * RATE) * 2)
PATIENCE_S = 60.0


def example(name: str) -> Any:
    """An example as a module; it finds those beside it as it does when it is run."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXAMPLES))


def spoken_words() -> bytes:
    """A second of speech, s16le mono at `RATE`."""
    with wave.open(str(EXAMPLES / "speech.wav")) as sound:
        samples: bytes = sound.readframes(sound.getnframes())
    return samples[WORDS]


@contextlib.asynccontextmanager
async def served(app: ASGIApp, port: int = 0) -> AsyncIterator[str]:
    """The address of a server of `app`, in the test's own event loop; port 0 takes a free one."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        await until(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@dataclass
class Page:
    """Somebody at the page, who has pressed its button."""

    socket: ClientConnection
    units: list[Unit] = field(default_factory=list)  # that were seen and heard
    messages: list[tuple[str, str]] = field(default_factory=list)  # kind and text
    over: bool = False  # the program has ended the conversation

    async def speak(self) -> None:
        """Say a second of words and be silent."""
        await self.socket.send(spoken_words())
        await self.socket.send(SILENCE)

    def texts(self, kind: str) -> list[str]:
        return [text for found, text in self.messages if found == kind]

    async def read(self) -> None:
        async for message in self.socket:
            given = json.loads(message)
            self.messages.append((given["type"], given["text"]))
        self.over = True


@contextlib.asynccontextmanager
async def open_page(
    converse: Callable[[Any, Any], Awaitable[None]], synthesizer: Synthesizer | None = None
) -> AsyncIterator[Page]:
    """A page of the example whose conversations are `converse`, with an avatar."""
    settings = ServeSettings(rate=0, connect_timeout_s=600)
    runtime = KnownCostRuntime(Engine(stripe_backend()), settings)
    avatars = {"face": blank_avatar()}
    app = create_app(settings, None, avatars, synthesizer=synthesizer, runtime=runtime)
    async with served(app) as server:
        page_app = example("talk_page").talk_app(server, None, converse)
        async with served(page_app) as site, pressed(site) as (page, session):
            live = app.state.manager.find(session["id"])

            async def look() -> None:
                async for unit in live.units():
                    page.units.append(unit)

            tasks = [asyncio.create_task(page.read()), asyncio.create_task(look())]
            await page.socket.send(json.dumps({"type": "live"}))
            yield page
            await page.socket.close()
            await asyncio.gather(*tasks)
            assert live.closed  # its place is free again


@contextlib.asynccontextmanager
async def pressed(site: str) -> AsyncIterator[tuple[Page, dict[str, Any]]]:
    """A page that has got its session."""
    address = f"{site.replace('http', 'ws')}/talk?sample_rate={RATE}"
    async with connect(address, origin=site) as socket:  # type: ignore[arg-type]
        given = json.loads(await socket.recv())
        assert given["type"] == "session", given
        yield Page(socket), given["session"]


def run_scene(scene: Callable[[], Awaitable[None]]) -> None:
    """Run `scene` on an event loop of its own, within `PATIENCE_S`."""

    async def bounded() -> None:
        await asyncio.wait_for(scene(), PATIENCE_S)

    asyncio.run(bounded())
