"""Datagrams at a viewer's UDP port: his own, signed, and those of others."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import struct
from typing import Any

from aioice import stun

from lipstream.server.rtc.guards.datagram_guard import MAX_EARLY, MAX_UNREAD
from tests.fuzz.packets import unpacked
from tests.server.rtc.guards.test_datagram_guard import STRANGER, VIEWER, Setup

OTHER, SIGNED, SETTLE, ANSWERED = 1, 2, 4, 8  # flags of a datagram
NAME = b"NAME"  # stands for that of the connection, which is random
INTEGRITY = struct.Struct("!HH20s")


def check(data: bytes) -> None:
    """Let the datagrams come in their order."""
    asyncio.run(_receive(data))


async def _receive(data: bytes) -> None:
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    setup = Setup()
    proven = False
    for flags, datagram in unpacked(data):
        if flags & SETTLE:
            setup.guard.settle()
        if flags & ANSWERED:
            setup.answer_checks()
        if flags & SIGNED:
            proven = proven or not flags & OTHER
            datagram = signed(datagram, setup.connection)
        setup.come(datagram, STRANGER if flags & OTHER else VIEWER)
        assert len(setup.guard._early) <= MAX_EARLY and len(setup.through) <= MAX_UNREAD
    await asyncio.sleep(0)
    assert not errors, errors


def signed(data: bytes, connection: Any) -> bytes:
    """A message of STUN: two bytes of its type, then attributes as they are, and the integrity of
    whoever knows the password (RFC 8489, section 14.5)."""
    kind, attributes = data[:2].ljust(2, b"\1"), data[2:]
    attributes = attributes.replace(NAME, connection.local_username.encode())
    length = len(attributes) + INTEGRITY.size
    head = kind + struct.pack("!HI12s", length & 0xFFFF, stun.COOKIE, b"transaction.")
    key = connection.local_password.encode()
    mac = hmac.new(key, head + attributes, hashlib.sha1).digest()
    return head + attributes + INTEGRITY.pack(8, 20, mac)
