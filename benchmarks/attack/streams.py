"""Attacks by TCP: silence, headers, and WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time

from benchmarks.attack.attacker import CLOSED, Attacker, Writer, paced

SILENT = 700  # connections; more than have a place
AGAIN_S = 1.0  # until one that was closed is opened again
SLOW = 100
PER_S = 100  # connections or requests of a flood
HEADERS = ("Origin", "Host", "Authorization", "Sec-WebSocket-Protocol", "X-Forwarded-For", "Cookie")
PIECES = ("http://[::1", "\xff", "Bearer ", "bearer.", "]", "%00", "a" * 300, ":", "//", "é", "\t")
GARBAGE = (
    b"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\3\1\2\0\1\0\1\xfc\3\3" + bytes(300),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 4000,
    b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"POST /v1/avatars HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\nx",
)
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
)
TEXT, BINARY, PING = 0x81, 0x82, 0x89  # first bytes of frames (RFC 6455, section 5.2)


async def silent_connections(attacker: Attacker, until: float) -> None:
    """More connections than there are places, which say nothing; closed ones are opened again."""

    async def stay() -> None:
        while time.monotonic() < until:
            with contextlib.suppress(OSError, *CLOSED):
                async with attacker.connection() as (reader, _):
                    await asyncio.wait_for(reader.read(1), max(until - time.monotonic(), 0.01))
            await asyncio.sleep(AGAIN_S)

    await asyncio.gather(*(stay() for _ in range(SILENT)))


async def slow_headers(attacker: Attacker, until: float) -> None:
    """Headers that come a byte a second, and bodies that do not come."""

    async def drip(number: int) -> None:
        head = "GET /healthz HTTP/1.1\r\nX-Slow: " if number % 2 else _post(100)
        with contextlib.suppress(OSError, *CLOSED):
            async with attacker.connection() as (_, writer):
                await writer.send(head.encode())
                while time.monotonic() < until:
                    await writer.send(b"a")
                    await asyncio.sleep(min(1.0, max(until - time.monotonic(), 0)))

    await asyncio.gather(*(drip(number) for number in range(SLOW)))


async def odd_headers(attacker: Attacker, until: float) -> None:
    """Header values of random pieces, with and without the token."""
    chance = random.Random(1)
    async for number in paced(PER_S, until):
        value = "".join(chance.choices(PIECES, k=chance.randrange(1, 5)))
        lines = f"{chance.choice(HEADERS)}: {value}\r\n"
        if number % 2:
            lines += f"Authorization: Bearer {attacker.token}\r\n"
        path = chance.choice(("/healthz", "/v1/avatars", "/", "/v1/sessions/x", "/%00"))
        data = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n".encode("latin-1")
        answer = await exchange(attacker, data)
        assert b"HTTP/1.1 500" not in answer, data


async def garbage(attacker: Attacker, until: float) -> None:
    """What is no HTTP, or two things at once."""
    async for number in paced(PER_S, until):
        await exchange(attacker, GARBAGE[number % len(GARBAGE)])


async def refused_sockets(attacker: Attacker, until: float) -> None:
    """WebSockets without the token, of sessions that do not exist, and half of a handshake."""
    right = f"Sec-WebSocket-Protocol: bearer.{attacker.token}\r\n"
    async for number in paced(PER_S, until):
        more = ("", right, "Origin: http://evil.example\r\n")[number % 3]
        data = HANDSHAKE.format(path=f"/v1/sessions/{number:032x}/audio", more=more)
        await exchange(attacker, data.encode())


async def unread_frames(attacker: Attacker, until: float) -> None:
    """Pings whose answers nobody reads, and fragments that carry nothing."""
    pings = frame(PING, bytes(125)) * 100
    while time.monotonic() < until:
        await _pour(attacker, frame(TEXT & 0x7F) + pings + frame(0) * 2000, until)
        await asyncio.sleep(0.05)


async def odd_messages(attacker: Attacker, until: float) -> None:
    """Messages that make no sense, on sockets that replace each other."""
    deep, bad = json.dumps({"type": "x"}).encode(), b'{"type": "\xff"}'
    kinds = [frame(TEXT, deep), frame(TEXT, bad), frame(BINARY, b"x"), frame(0x83), frame(TEXT)]
    async for number in paced(20, until):
        await _pour(attacker, kinds[number % len(kinds)] * 30, until, rounds=1)


async def exchange(attacker: Attacker, data: bytes) -> bytes:
    """Send `data` on a new connection and return the beginning of the answer."""
    with contextlib.suppress(OSError, *CLOSED):
        async with attacker.connection() as (reader, writer):
            await writer.send(data)
            return await asyncio.wait_for(reader.read(4096), 5)
    return b""


def frame(first: int, data: bytes = b"") -> bytes:
    """A frame of a client, masked with zeros."""
    return bytes([first, 0x80 | len(data)]) + bytes(4) + data


async def _pour(attacker: Attacker, block: bytes, until: float, rounds: int = 10_000) -> None:
    """Open a WebSocket of his session, and send `block` again and again without reading."""
    more = f"Sec-WebSocket-Protocol: bearer.{attacker.token}\r\n"
    with contextlib.suppress(OSError, *CLOSED):
        async with attacker.connection() as (reader, writer):
            await writer.send(HANDSHAKE.format(path=attacker.made["audio_url"], more=more).encode())
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            await _repeat(writer, block, until, rounds)


async def _repeat(writer: Writer, block: bytes, until: float, rounds: int) -> None:
    for _ in range(rounds):
        if time.monotonic() >= until:
            return
        await writer.send(block)
        await asyncio.sleep(0.002)


def _post(length: int) -> str:
    head = "POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n"
