"""A server of streams that takes WHIP (RFC 9725): aiortc behind an ASGI application."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lipstream.server.http.uvicorn_server import address_of, bind
from tests.server.viewers import Viewer

START_S = 20.0


class WhipServer:
    """Takes streams at /whip, and tells what it received."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.calls: list[tuple[str, str, str | None]] = []  # method, URL, authorization
        self.offers: list[str] = []
        self.streams: list[Viewer] = []
        self.status = 201  # of an answer; another one refuses
        self.location: str | None = "/resource/{}"
        self.moved_to = "/whip"  # from /moved
        self.hangs = False
        self.edit: Callable[[str], str] = lambda answer: answer
        self.app = Starlette(
            routes=[
                Route("/whip", self._publish, methods=["POST"]),
                Route("/moved", self._move, methods=["POST"]),
                Route("/resource/{place:int}", self._delete, methods=["DELETE"]),
            ],
            exception_handlers={},
        )

    async def close(self) -> None:
        for stream in self.streams:
            await stream.close()

    def _note(self, request: Request) -> None:
        call = request.method, str(request.url), request.headers.get("authorization")
        self.calls.append(call)

    async def _publish(self, request: Request) -> Response:
        self._note(request)
        if self.hangs:
            await asyncio.Event().wait()
        if self.token is not None and self.calls[-1][2] != f"Bearer {self.token}":
            return Response(status_code=401)
        if self.status != 201:
            return Response(status_code=self.status)
        assert request.headers["content-type"] == "application/sdp"
        self.offers.append((await request.body()).decode())
        self.streams.append(Viewer())
        answer = self.edit(await self.streams[-1].answer_to(self.offers[-1]))
        headers = {}
        if self.location is not None:
            headers["Location"] = self.location.format(len(self.streams) - 1)
        return Response(answer, 201, headers, "application/sdp")

    async def _move(self, request: Request) -> Response:
        self._note(request)
        return Response(status_code=307, headers={"Location": self.moved_to})

    async def _delete(self, request: Request) -> Response:
        self._note(request)
        await self.streams[request.path_params["place"]].close()
        return Response()


@contextmanager
def listening(server: WhipServer) -> Iterator[str]:
    """The address of `server`, which runs in a thread of its own."""
    with bind("127.0.0.1", 0) as bound:
        running = uvicorn.Server(uvicorn.Config(server.app, log_config=None, lifespan="off"))

        async def serve() -> None:
            await running.serve([bound])
            await server.close()

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        try:
            yield address_of(bound)
        finally:
            running.should_exit = True
            thread.join(START_S)
