"""Attacks by UDP: strangers at the viewer's port, and a viewer's own reports."""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from benchmarks.attack.attacker import (
    ADDRESS,
    SDP,
    Attack,
    Attacker,
    host_candidates,
    offering,
    paced,
)
from benchmarks.cpu.viewer_reports import nack

COOKIE = 0x2112A442
JUNK = os.urandom(1200)
PER_S = 1000  # datagrams of a flood
REPORTS_PER_S = 300
STUN_ATTRIBUTES = (0x24, 0x8029, 0x802A, 0x8028, 0x0D, 0x20, 0x0C, 0x06)


def odd(number: int) -> bytes:
    """An empty datagram, one of a single byte, or one that only looks like what is expected."""
    alert = struct.pack("!BHHIHHBB", 21, 0xFEFD, 0, 0, 1, 2, 2, 40)
    looks = (b"", alert, b"\x16" + JUNK[:200], b"\x80\x6f" + JUNK[:200], bytes(1400))
    return looks[number % 5] if number % 2 else bytes([number // 2 % 256])


def malformed_stun(number: int) -> bytes:
    """A request with an attribute of a wrong length, a bare one, or an answer to nothing."""
    kind = STUN_ATTRIBUTES[number % len(STUN_ATTRIBUTES)]
    head = struct.pack("!HHI12s", (1, 0x101, 0x11)[number % 3], 4, COOKIE, os.urandom(12))
    return head + struct.pack("!HH", kind, 0)


def junk(number: int) -> bytes:
    """What begins like DTLS, like SRTP, or like nothing."""
    record = struct.pack("!BHHIHH", 23, 0xFEFD, 1, 0, number & 0xFFFF, 1100)
    return (record + JUNK[:1100], b"\x80\x6f" + JUNK, b"\x7f" + JUNK)[number % 3]


def flood(make: Callable[[int], bytes]) -> Attack:
    """An attack that sends what `make` makes to the viewer's port."""

    async def attack(attacker: Attacker, until: float) -> None:
        with stranger() as one:
            async for number in paced(PER_S, until):
                send(attacker, one, attacker.victim, make(number))

    return attack


async def before_ice(attacker: Attacker, until: float) -> None:
    """Large datagrams to the port of somebody who never connects."""
    async with attacker.session() as made, attacker.http() as http:
        peer = await offering()
        try:
            lines = peer.localDescription.sdp.splitlines()
            offer = "".join(f"{line}\r\n" for line in lines if "candidate" not in line)
            answer = await http.post(made["whep_url"], content=offer, headers=SDP)
        finally:
            await peer.close()
        with stranger() as one:
            async for _ in paced(PER_S, until):
                send(attacker, one, host_candidates(answer.text)[:1], b"\x16" + JUNK + bytes(200))


async def nacks(attacker: Attacker, until: float) -> None:
    """A viewer who asks for everything again."""
    await reports(attacker, until, lambda number, ssrc: nack(number, ssrc))


async def picture_losses(attacker: Attacker, until: float) -> None:
    """A viewer who asks for a hundred key frames in each packet (RFC 4585, section 6.3.1)."""
    await reports(
        attacker, until, lambda _, ssrc: struct.pack("!BBHII", 0x81, 206, 2, 1, ssrc) * 100
    )


async def reports(attacker: Attacker, until: float, make: Callable[[int, int], bytes]) -> None:
    """Send what `make` makes of a number and the video's SSRC as an encrypted viewer."""
    found = re.search(r"m=video.*?a=ssrc:(\d+)", attacker.answer, re.DOTALL)
    assert found is not None and attacker.peer is not None
    dtls = attacker.peer.getReceivers()[0].transport
    async for number in paced(REPORTS_PER_S, until):
        packet = make(number, int(found[1]))
        await dtls._send_rtp(packet)
        attacker.sent += len(packet)


@contextmanager
def stranger() -> Iterator[socket.socket]:
    """A UDP socket at the attacker's address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.setblocking(False)
        one.bind((ADDRESS, 0))
        yield one


def send(
    attacker: Attacker, one: socket.socket, targets: Sequence[tuple[str, int]], data: bytes
) -> None:
    """Send to all of `targets` that can be reached from loopback."""
    for target in targets:
        try:
            attacker.sent += one.sendto(data, target)
        except OSError:
            continue  # another interface's address, or a full buffer: then less is sent
