"""The attacker: an address of his own on this machine, and a count of what he sends."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import aiortc.rtcrtpreceiver
import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from benchmarks.attack.server import AVATAR, Server
from benchmarks.cpu.receiver_process import PictureCount

ADDRESS = "127.0.0.2"  # of loopback, like all of 127.0.0.0/8, and not the viewer's
SDP = {"content-type": "application/sdp"}
TICK_S = 0.005
CLOSED = (ConnectionError, TimeoutError, asyncio.TimeoutError, asyncio.IncompleteReadError)


class NoRoomError(Exception):
    """The server has no session for the attacker, which is its right."""


@dataclass
class Attacker:
    """Sends to one server and its viewer, from `ADDRESS`; has the token, and is a viewer too."""

    server: Server
    token: str
    victim: list[tuple[str, int]]  # UDP addresses of the other viewer's connection
    made: dict[str, Any] = field(default_factory=dict)  # his session
    peer: RTCPeerConnection | None = None
    answer: str = ""  # SDP
    sent: int = 0  # bytes of payload so far

    @asynccontextmanager
    async def http(self, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
        """A client with the token."""
        transport = httpx.AsyncHTTPTransport(local_address=ADDRESS)
        headers = {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient(
            base_url=self.server.url, timeout=30, transport=transport, headers=headers, **options
        ) as client:
            client.event_hooks["request"] = [self._count]
            yield client

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, Writer]]:
        """A TCP connection; aborted at the end."""
        reader, stream = await asyncio.open_connection(
            "127.0.0.1", self.server.port, local_addr=(ADDRESS, 0)
        )
        try:
            yield reader, Writer(self, stream)
        finally:
            stream.transport.abort()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[dict[str, Any]]:
        """A session of his own. Raises NoRoomError."""
        async with self.http() as http:
            answer = await http.post("/v1/sessions", json={"avatar": AVATAR})
            if answer.status_code != 201:
                raise NoRoomError
            made = answer.json()
            try:
                yield made
            finally:
                with contextlib.suppress(httpx.TransportError):
                    await http.delete(f"/v1/sessions/{made['id']}")

    async def _count(self, request: httpx.Request) -> None:
        self.sent += sum(len(key) + len(value) + 4 for key, value in request.headers.raw) + 60
        if isinstance(request.stream, httpx.AsyncByteStream):
            request.stream = _CountedBody(self, request.stream)


class _CountedBody(httpx.AsyncByteStream):
    """The body of a request, of which only what the server takes is counted."""

    def __init__(self, attacker: Attacker, body: httpx.AsyncByteStream) -> None:
        self._attacker, self._body = attacker, body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            yield piece
            self._attacker.sent += len(piece)  # asked for the next one: this one was written

    async def aclose(self) -> None:
        await self._body.aclose()


class Writer:
    """Writes to a connection and counts it."""

    def __init__(self, attacker: Attacker, stream: asyncio.StreamWriter) -> None:
        self._attacker, self._stream = attacker, stream

    async def send(self, data: bytes) -> None:
        """Send `data`. Raises one of `CLOSED`, also when the server does not read for 2 s."""
        self._stream.write(data)
        await asyncio.wait_for(self._stream.drain(), 2)
        self._attacker.sent += len(data)


@asynccontextmanager
async def open_attacker(
    server: Server, token: str, victim: list[tuple[str, int]]
) -> AsyncIterator[Attacker]:
    """An attacker who views a session of his own, undecoded."""
    attacker = Attacker(server, token, victim)
    aiortc.rtcrtpreceiver.decoder_worker = PictureCount().decode
    async with attacker.session() as made, attacker.http() as http:
        peer = await offering()
        try:
            answer = await http.post(
                made["whep_url"], content=peer.localDescription.sdp, headers=SDP
            )
            await peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
            attacker.made, attacker.peer, attacker.answer = made, peer, answer.text
            yield attacker
        finally:
            await peer.close()


Attack: TypeAlias = Callable[[Attacker, float], Awaitable[None]]  # until a time of `monotonic`


async def paced(rate: float, until: float) -> AsyncIterator[int]:
    """Count upwards `rate` times a second."""
    began, number = time.monotonic(), 0
    while (now := time.monotonic()) < until:
        while number < (now - began) * rate:
            yield number
            number += 1
        await asyncio.sleep(TICK_S)


async def offering() -> RTCPeerConnection:
    """A peer with an offer."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for kind in ("audio", "video"):
        peer.addTransceiver(kind, direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    return peer


def host_candidates(answer: str) -> list[tuple[str, int]]:
    """The IPv4 addresses of an SDP answer."""
    pattern = r"a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host"
    return [(host, int(port)) for host, port in sorted(set(re.findall(pattern, answer)))]
