"""A provider of speech on this machine, which answers as a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PCM = np.arange(-6000, 6000, dtype="<i2").tobytes()  # of each request that is answered well


@dataclass
class Call:
    """One request, and the way to answer it."""

    head: str
    body: dict[str, Any]
    writer: asyncio.StreamWriter

    async def begin(self, status: str = "200 OK", kind: str = "audio/pcm", *more: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Transfer-Encoding: chunked", *more]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        await self.writer.drain()

    async def send(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self.writer.drain()

    async def end(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def answer(self, data: bytes = PCM, *begin: str) -> None:
        await self.begin(*begin)
        await self.send(data)
        await self.end()


@dataclass
class Provider:
    """A running stub: what it was asked, and who hung up on it."""

    url: str
    calls: list[Call] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)


@contextlib.asynccontextmanager
async def provider(answer: Callable[[Call], Awaitable[None]]) -> AsyncIterator[Provider]:
    """Serve while the block runs. `answer` returns to end an answer and its connection."""
    running: Provider

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = head.lower().split("content-length: ")[1].split("\r\n")[0]
            call = Call(head, json.loads(await reader.readexactly(int(length))), writer)
            running.calls.append(call)
            running.called.set()
            answering = asyncio.ensure_future(answer(call))
            gone = asyncio.ensure_future(reader.read(1))
            await asyncio.wait((answering, gone), return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                running.hung_up.set()
            answering.cancel()
            gone.cancel()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    running = Provider(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield running
    finally:
        server.close()
