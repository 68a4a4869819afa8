"""Attacks by files and offers, with the token: many at once, and hostile ones."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import struct
import time
import zipfile
import zlib
from collections.abc import Sequence
from io import BytesIO

import httpx

from benchmarks.attack.attacker import CLOSED, SDP, Attacker, offering, paced
from benchmarks.attack.server import PORTRAIT

AT_ONCE = 16
PER_S = 10  # offers
DELETE_S = 1.0  # until a refused deletion is tried again
FRAGMENT = {"content-type": "application/trickle-ice-sdpfrag"}
PIECES = ("", "0", "-1", "99999999999", ":", " ", "/", "\t", "\u0661", "=", ";", "\u2028", "\0")
FAILED = (httpx.TransportError, *CLOSED)


def png(width: int, height: int) -> bytes:
    """A PNG of one bit a pixel, all alike: 12 KB may hold 99 million pixels."""
    packer = zlib.compressobj(9)
    row = b"\0" + bytes((width + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg(scans: int) -> bytes:
    """A progressive JPEG of 2000 x 2000 pixels with so many empty scans."""
    found = bytearray(b"\xff\xd8")

    def segment(marker: int, content: bytes) -> None:
        found.extend(b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content)

    segment(0xDB, b"\0" + b"\x10" * 64)
    segment(0xC2, struct.pack(">BHHB", 8, 2000, 2000, 1) + b"\1\x11\0")
    segment(0xC4, b"\0" + bytes([1] + [0] * 15) + b"\0")
    segment(0xC4, b"\x10" + bytes([1, 1] + [0] * 14) + b"\xe0\0")
    segment(0xDA, b"\1\1\0\0\0\0")
    found.extend(bytes(250 * 250 // 8 + 1))
    for _ in range(scans):
        segment(0xDA, b"\1\1\0\1\x3f\0")
        found.extend(b"\x7f\xfe\x7f\xfe\x7f")
    return bytes(found + b"\xff\xd9")


def bomb() -> bytes:
    """An .avatar file of which one compressed entry is a megabyte of zeros."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", bytes(1 << 20))
    return file.getvalue()


async def many_uploads(attacker: Attacker, until: float) -> None:
    """Sixteen portraits at once, again and again."""
    picture = PORTRAIT.read_bytes()
    await _upload(attacker, [("a.png", picture)] * AT_ONCE, until)


async def hostile_files(attacker: Attacker, until: float) -> None:
    """Pictures that cost much, avatars and clips that are none, and sound that is none."""
    files = [
        ("p99.png", png(9950, 9950)),
        ("p49.png", png(6900, 6900)),
        ("scans.jpg", jpeg(2000)),
        ("bomb.avatar", bomb()),
        ("clip.mp4", b"\0\0\0\x18ftypmp42" + os.urandom(20_000)),
        ("cut.png", PORTRAIT.read_bytes()[:50_000]),
    ]
    await _upload(attacker, files, until)


async def hostile_sound(attacker: Attacker, until: float) -> None:
    """Speech that is no sound, or says that it is a day long."""
    long = b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    files = [
        ("junk.wav", os.urandom(5000)),
        ("day.wav", long + b"data\xff\xff\xff\xff" + bytes(99)),
    ]
    async with attacker.http() as http:
        async for number in paced(4, until):
            name, data = files[number % 2]
            with contextlib.suppress(*FAILED):
                await http.post(attacker.made["speech_url"], files={"file": (name, data)})


async def offers(attacker: Attacker, until: float) -> None:
    """Mutants of a viewer's offer, and of the fragments that follow it."""
    chance = random.Random(2)
    peer = await offering()
    offer = peer.localDescription.sdp
    await peer.close()
    async with attacker.session() as made, attacker.http() as http:
        async for number in paced(PER_S, until):
            text = mutant(offer, chance)
            with contextlib.suppress(*FAILED):
                if number % 3:
                    await http.post(made["whep_url"], content=text.encode(), headers=SDP)
                else:
                    await http.patch(made["whep_url"], content=text.encode(), headers=FRAGMENT)


def mutant(offer: str, chance: random.Random) -> str:
    """`offer` with lines left out, doubled, cut, joined or with odd signs."""
    lines = offer.splitlines()
    for _ in range(chance.choice((1, 2, 5))):
        place, kind = chance.randrange(len(lines)), chance.randrange(5)
        line = lines[place]
        at = chance.randrange(len(line) + 1)
        changed = {
            0: [],
            1: [line, chance.choice(lines)],
            2: [line[:at]],
            3: [f"{line} {chance.choice(lines)}"],
            4: [line[:at] + chance.choice(PIECES) + line[at + chance.randrange(3) :]],
        }
        lines[place : place + 1] = changed[kind]
        lines = lines or [line]
    return "".join(f"{line}\r\n" for line in lines)


async def _upload(attacker: Attacker, files: Sequence[tuple[str, bytes]], until: float) -> None:
    """Upload all at once, again and again, and delete what came of it.

    An avatar that stays is memory that its owner asked for; the rate limit may put its end off.
    """
    kept: set[str] = set()
    async with attacker.http() as http:

        async def upload(name: str, data: bytes) -> None:
            with contextlib.suppress(*FAILED):
                answer = await http.post("/v1/avatars", files={"file": (name, data)})
                if answer.status_code == 202:
                    kept.add(answer.json()["id"])

        async def delete(avatar: str) -> None:
            with contextlib.suppress(*FAILED):
                answer = await http.delete(f"/v1/avatars/{avatar}")
                if answer.status_code in (204, 404):
                    kept.discard(avatar)

        while time.monotonic() < until:
            await asyncio.gather(*(upload(name, data) for name, data in files))
            await asyncio.gather(*map(delete, kept))
        while kept:
            await asyncio.sleep(DELETE_S)
            await asyncio.gather(*map(delete, kept))
