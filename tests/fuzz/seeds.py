"""The inputs that fuzzing begins with, as honest programs and known attacks send them.

python -m tests.fuzz.seeds      writes them to tests/fuzz/corpus
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    pack_remb_fci,
)

from lipstream.avatar.storage import save_avatar
from tests.fakes import blank_avatar
from tests.fuzz.datagrams import ANSWERED, NAME, OTHER, SETTLE, SIGNED
from tests.fuzz.packets import packed
from tests.fuzz.rtcp import SSRC
from tests.fuzz.targets import CORPUS
from tests.server.rtc.offers import AUDIO, DATA, PASSWORD, USERNAME, VIDEO, offer

CANDIDATE = "a=candidate:1 1 udp 2113937151 198.51.100.7 50000 typ host generation 0\r\n"
REQUEST = b"\0\1"


def attribute(number: int, value: bytes) -> bytes:
    """An attribute of STUN (RFC 8489, section 14)."""
    return struct.pack("!HH", number, len(value)) + value + bytes(-len(value) % 4)


def frame(first: int, data: bytes = b"") -> bytes:
    """A short frame of a WebSocket client, masked with zeros."""
    return bytes([first, 0x80 | len(data)]) + bytes(4) + data


def sdp() -> Iterator[tuple[str, bytes]]:
    yield "offer", offer().encode()
    yield "data", offer(AUDIO, VIDEO, DATA).encode()
    yield "talks", offer(AUDIO.replace("recvonly", "sendrecv"), VIDEO + CANDIDATE).encode()
    head = f"a=ice-ufrag:{USERNAME}\r\na=ice-pwd:{PASSWORD}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
    mdns = CANDIDATE.replace("198.51.100.7", "0f5a.local")
    yield "fragment", (head + CANDIDATE + mdns + "a=end-of-candidates\r\n").encode()


def rtcp() -> Iterator[tuple[str, bytes]]:
    seen = RtcpReceiverInfo(SSRC, 3, 9, 70_000, 5, 1, 2)
    remb = pack_remb_fci(500_000, [SSRC])
    report = bytes(RtcpRrPacket(1, [seen]))
    nack = bytes(RtcpRtpfbPacket(1, 1, SSRC, lost=[1, 2, 19]))
    pli = bytes(RtcpPsfbPacket(RTCP_PSFB_PLI, 1, SSRC))
    estimate = bytes(RtcpPsfbPacket(RTCP_PSFB_APP, 1, 0, remb))
    bye = bytes(RtcpByePacket([1]))
    sound = struct.pack("!BBHIIHHI", 0x90, 111, 1, 1, 1, 0xBEDE, 1, 0x10AA0000) + bytes(40)
    yield "reports", packed([(0, report + nack), (0, pli + estimate), (0, bye)])
    yield "sound", packed([(0, sound), (0, sound[:12]), (0, b"\xa0" + sound[1:])])


def datagrams() -> Iterator[tuple[str, bytes]]:
    name = attribute(6, NAME + b":them")
    check = REQUEST + name + attribute(0x24, b"\0\0\0\1") + attribute(0x802A, bytes(8))
    hello, sound = bytes([22]) + bytes(60), bytes([128, 111]) + bytes(60)
    odd = struct.pack("!HHI12s", 1, 4, 0x2112A442, b"x" * 12) + struct.pack("!HH", 0x8029, 0)
    chosen = check + attribute(0x25, b"")
    yield "viewer", packed([(SIGNED, chosen), (0, hello), (ANSWERED | SETTLE, hello), (0, sound)])
    yield "stranger", packed([(OTHER, b""), (OTHER, odd), (OTHER, hello), (OTHER | SIGNED, check)])
    lengths = [attribute(number, b"") for number in (0x24, 0x8028, 0x0D, 0x8029, 0x20, 9)]
    yield "lengths", packed([(SIGNED, REQUEST + name + one) for one in lengths])
    yield "bare", packed([(SIGNED, REQUEST), (SIGNED, b"\1\1"), (SIGNED, b"\0\x11"), (0, b"\x40")])


def avatar() -> Iterator[tuple[str, bytes]]:
    extras = {"musetalk": {"latent": np.arange(4, dtype=np.float32)}}
    small = replace(blank_avatar(), extras=extras)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.avatar"
        save_avatar(small, path)
        whole = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(entries.pop("manifest.json"))
    del manifest["entries"]
    parts = [part for name, data in entries.items() for part in (name.encode(), data)]
    yield "whole", whole
    yield "sealed", packed((0, part) for part in [json.dumps(manifest).encode(), *parts])
    yield "no_manifest", packed([(0, b"{}")])


def settings() -> Iterator[tuple[str, bytes]]:
    yield "render", b'[render]\navatar = "face.png"\naudio = "a.wav"\nfps = 30\nsway = false\n'
    yield "serve", b'debug = true\n[serve]\navatar = ["a=b.png"]\nport = 8080\ntoken = "x"\n'
    yield "prepare", b"[prepare]\noutput = 'c:\\x.avatar'\nface = 1\n[models]\n[doctor]\n[bench]\n"
    yield "deep", b"a = " + b"[" * 1200
    yield "number", b"[render]\nfps = " + b"9" * 5000
    yield "path", b'[render]\navatar = "C:\\new\\face.png"\n'


def websocket() -> Iterator[tuple[str, bytes]]:
    speech = frame(0x82, b"\1\2" * 20) + frame(0x81, b'{"type": "end"}')
    yield "speech", speech + frame(0x81, b'{"type": "interrupt"}') + frame(0x88, b"\3\xe8")
    yield "pieces", frame(1, b'{"type":') + frame(0) + frame(0x89, b"?") + frame(0x80, b'"end"}')
    yield "odd", frame(0x82, b"\1") + frame(0x81, b"[" * 120) + frame(0x81, b"\xff") + frame(0x83)
    yield "large", b"\x82\xff" + struct.pack("!Q", 1 << 62) + bytes(4)


def http() -> Iterator[tuple[str, bytes]]:
    host = b"Host: 127.0.0.1\r\n"
    yield "probes", b"GET /healthz HTTP/1.1\r\n" + host + b"\r\nGET /readyz HTTP/1.1\r\n\r\n"
    yield "origin", b"GET /v1/avatars HTTP/1.1\r\n" + host + b"Origin: http://[::1\r\n\r\n"
    yield "token", b"POST /v1/sessions HTTP/1.1\r\n" + host + b"Authorization: Bearer x\r\n\r\n"
    both = b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    yield "smuggled", b"POST /v1/sessions HTTP/1.1\r\n" + host + both
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: bearer.x\r\n\r\n"
    yield "upgrade", b"GET /v1/sessions/x/audio HTTP/1.1\r\n" + host + upgrade + key


SEEDS = (sdp, rtcp, datagrams, avatar, settings, websocket, http)


def main() -> None:
    """Write all seeds."""
    for seeds in SEEDS:
        folder = CORPUS / seeds.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
