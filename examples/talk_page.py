"""A page with a microphone and a face, for the examples that listen; no program of its own.

The page shows a session that this process has opened, so it never sees the server's token, nor any
other key. Its microphone comes here by one WebSocket, with the browser's echo cancellation, so that
the face does not hear itself; what the face shall say goes to lipstream by another.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import numpy as np
import soxr
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import FileResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

PAGE = Path(__file__).with_name("talk.html")
RATE = 24_000  # Hz of sound for the face
MAX_MESSAGE_BYTES = 32 * 1024
MIN_RATE, MAX_RATE = 8_000, 192_000  # Hz of a microphone
RETRY_S = 1.0  # until a text that found no room is offered again
SAY_ERRORS = ("invalid", "bad_message", "no_voice", "too_many_requests")  # answers to a text

Event = dict[str, Any]
Converse = Callable[["Viewer", "Face"], Awaitable[None]]


class Trouble(Exception):
    """A fault, in a sentence for the viewer."""


class Face:
    """A session of a lipstream server: text or sound in, events out."""

    def __init__(self, http: httpx.AsyncClient, session: Event) -> None:
        """`http` has the server as its base and the token in its headers."""
        self.session, self._http = session, http
        self._connected: asyncio.Future[ClientConnection] = asyncio.Future()
        self._texts: deque[asyncio.Future[Event]] = deque()  # that the server has yet to answer

    async def run(self, take: Callable[[Event], Awaitable[None]]) -> None:
        """Give every event to `take`; raise Trouble when the session ends, or another speaks."""
        url = urljoin(str(self._http.base_url), self.session["audio_url"]).replace("http", "ws", 1)
        headers = {k: v for k, v in self._http.headers.items() if k == "authorization"}
        with contextlib.suppress(OSError, WebSocketException):
            async with connect(f"{url}?sample_rate={RATE}", additional_headers=headers) as socket:
                self._connected.set_result(socket)
                async for message in socket:
                    event = json.loads(message)
                    refused = event["type"] == "error" and event["code"] in SAY_ERRORS
                    if self._texts and (event["type"] == "queued" or refused):
                        self._texts.popleft().set_result(event)
                    await take(event)
        raise Trouble("The session has ended; press the button to begin another.")

    async def say(self, text: str) -> None:
        """Say `text` behind what was said before; wait as long as too much of that waits."""
        while True:
            socket = await asyncio.shield(self._connected)
            answer: asyncio.Future[Event] = asyncio.Future()
            self._texts.append(answer)
            with contextlib.suppress(ConnectionClosed):  # `run` tells
                await socket.send(json.dumps({"type": "say", "text": text}))
            event = await asyncio.shield(answer)
            if event["type"] == "queued":
                return
            if event["code"] != "too_many_requests":
                raise Trouble(f"The face cannot say this: {event['message']}")
            await asyncio.sleep(RETRY_S)

    async def send(self, data: bytes) -> None:
        """Speak PCM, s16le mono at `RATE`; wait while the server has enough."""
        socket = await asyncio.shield(self._connected)
        with contextlib.suppress(ConnectionClosed):  # `run` tells
            await socket.send(data)

    async def end(self) -> None:
        """End the utterance that was sent; what is sent next is another."""
        await self._control("end")

    async def interrupt(self) -> None:
        """Be silent. The first request overtakes speech that the server has yet to read, the other
        one cancels what was on its way."""
        path = f"v1/sessions/{self.session['id']}/interrupt"
        with contextlib.suppress(httpx.HTTPError):  # a session that is gone says nothing more
            await self._http.post(path)
        await self._control("interrupt")

    async def _control(self, kind: str) -> None:
        if self._connected.done():
            with contextlib.suppress(ConnectionClosed):  # `run` tells
                await self._connected.result().send(json.dumps({"type": kind}))


class Viewer:
    """The page: sound of its microphone in, messages out."""

    def __init__(self, socket: WebSocket, rate: int) -> None:
        self._socket, self._rate = socket, rate

    async def send(self, **message: Any) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it left; `microphone` tells
            await self._socket.send_json(message)

    async def tell(self, trouble: object) -> None:
        """Show a fault, here and there; the conversation goes on."""
        print(trouble, file=sys.stderr)
        await self.send(type="trouble", text=str(trouble))

    async def live(self) -> bool:
        """True once the page shows the face, False when it leaves before."""
        while (message := await self._socket.receive())["type"] == "websocket.receive":
            if message.get("text"):
                return True
        return False

    async def microphone(self, rate: int) -> AsyncIterator[bytes]:
        """Its sound as s16le mono at `rate`, until it leaves."""
        resampler = soxr.ResampleStream(self._rate, rate, 1, dtype="int16")
        while (message := await self._socket.receive())["type"] == "websocket.receive":
            if whole := len(data := message.get("bytes") or b"") // 2:
                samples = np.frombuffer(data, "<i2", whole)
                yield resampler.resample_chunk(samples).astype("<i2").tobytes()


async def first_to_end(*jobs: Coroutine[Any, Any, None]) -> None:
    """Run all of them until one ends or fails."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def open_face(server: str, avatar: str | None) -> AsyncIterator[Face]:
    """A session with an avatar, by default the first that is offered; closed afterwards.

    Trouble where the server refuses one.
    """
    token = os.environ.get("LIPSTREAM_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=server, headers=headers, timeout=10) as http:
        if avatar is None:
            offered = (await _ask(http, "GET", "v1/avatars"))["avatars"]
            avatar = next((one["id"] for one in offered if one["status"] == "ready"), None)
        if avatar is None:
            raise Trouble("The lipstream server has no avatar; start it with --avatar.")
        session = await _ask(http, "POST", "v1/sessions", json={"avatar": avatar})
        try:
            yield Face(http, session)
        finally:
            with contextlib.suppress(httpx.HTTPError):  # it ends by itself
                await http.delete(f"v1/sessions/{session['id']}")


async def _ask(http: httpx.AsyncClient, method: str, path: str, **given: Any) -> Event:
    try:
        answer = await http.request(method, path, **given)
        body: Event = answer.json()
    except (httpx.HTTPError, ValueError):
        server = str(http.base_url).rstrip("/")
        raise Trouble(f"No lipstream server answers at {server}; start it.") from None
    if answer.is_error:
        raise Trouble(f"The lipstream server refuses: {body['error']['message']}")
    return body


def talk_app(server: str, avatar: str | None, converse: Converse) -> Starlette:
    """The page, and a conversation for each that is open."""

    async def page(request: object) -> FileResponse:
        return FileResponse(PAGE)

    async def talk(socket: WebSocket) -> None:
        rate = socket.query_params.get("sample_rate", "")
        # Any page of the web can open a WebSocket to this machine: its origin tells.
        origin = urlsplit(socket.headers.get("origin", "")).netloc
        usable = rate.isdecimal() and MIN_RATE <= int(rate) <= MAX_RATE
        if origin != socket.headers["host"] or not usable:
            await socket.close()
            return
        await socket.accept()
        viewer = Viewer(socket, int(rate))
        try:
            async with open_face(server, avatar) as face:
                await viewer.send(type="session", server=server, session=face.session)
                if await viewer.live():
                    await converse(viewer, face)
        except Trouble as trouble:
            await viewer.tell(trouble)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it has closed it itself
            await socket.close()

    routes = [Route("/", page), WebSocketRoute("/talk", talk)]
    local = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    return Starlette(routes=routes, middleware=[local])


def talk_parser(description: str) -> argparse.ArgumentParser:
    """The options that these examples share."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--server", default="http://127.0.0.1:8080", help="of lipstream")
    parser.add_argument("--avatar", help="the avatar's id; by default the first that is offered")
    parser.add_argument("--port", type=int, default=8081, help="of the page")
    return parser


def serve(options: argparse.Namespace, converse: Converse) -> None:
    """Serve the page to this machine until Ctrl-C."""
    app = talk_app(options.server, options.avatar, converse)
    print(f"Open http://127.0.0.1:{options.port}")
    uvicorn.run(app, port=options.port, log_level="warning", ws_max_size=MAX_MESSAGE_BYTES)
