"""WebSockets of clients that do not read, or send what carries nothing, byte by byte."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from lipstream.server.api.socket_sender import CLOSE_S
from lipstream.server.http.websocket_protocol import LINGER_S, MAX_BARE_FRAMES
from lipstream.server.settings import ServeSettings
from tests.server.http_server import HttpServer, open_server

MEBIBYTE = 1 << 20
ROOMY = ServeSettings(rate=0, connect_timeout_s=600)
PATIENCE_S = 20.0
TEXT, FRAGMENT, PING, PONG = 0x81, 0x00, 0x89, 0x8A  # first bytes of frames (RFC 6455, section 5.2)
UNLIMITED = 10**9


def frame(first: int, data: bytes = b"") -> bytes:
    """A frame of a client, masked with zeros."""
    return bytes([first, 0x80 | len(data)]) + bytes(4) + data


@contextmanager
def connected(server: HttpServer, made: dict[str, Any]) -> Iterator[socket.socket]:
    """An open WebSocket whose client has small buffers and reads nothing by itself."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE_S)
    with client:
        client.connect(("127.0.0.1", server.port))
        client.sendall(
            f"GET {made['audio_url']} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += client.recv(1)
        assert answer.startswith(b"HTTP/1.1 101")
        yield client


def opened(server: HttpServer) -> dict[str, Any]:
    made: dict[str, Any] = httpx.post(f"{server.url}/v1/sessions", json={"avatar": "face"}).json()
    return made


def flood(client: socket.socket, block: bytes, total: int) -> int:
    """Send up to `total` bytes; returns how many were taken before nothing moved for a while."""
    client.settimeout(0.7)
    sent = 0
    try:
        while sent < total:
            sent += client.send(block)
    except TimeoutError:
        pass
    client.settimeout(PATIENCE_S)
    return sent


@pytest.mark.slow
def test_pings_are_not_read_while_nobody_reads_the_pongs(monkeypatch: pytest.MonkeyPatch) -> None:
    """And once the session has ended the socket, too, is gone, however full it is."""
    assert CLOSE_S + LINGER_S <= 5
    monkeypatch.setattr("lipstream.server.http.websocket_protocol.MAX_BARE_FRAMES", UNLIMITED)
    monkeypatch.setattr("lipstream.server.http.websocket_protocol.LINGER_S", 0.3)
    monkeypatch.setattr("lipstream.server.api.socket_sender.CLOSE_S", 0.1)
    with open_server(ROOMY) as server:
        made = opened(server)
        with connected(server, made) as client:
            before = psutil.Process().memory_info().rss
            sent = flood(client, frame(PING, bytes(125)) * 500, 64 * MEBIBYTE)
            assert sent < 32 * MEBIBYTE  # what the system's buffers hold
            assert psutil.Process().memory_info().rss - before < 16 * MEBIBYTE
            httpx.delete(f"{server.url}/v1/sessions/{made['id']}")
            with pytest.raises(ConnectionError):
                while True:
                    client.sendall(frame(PING))


@pytest.mark.parametrize("first", [PING, PONG, FRAGMENT])
def test_frames_that_carry_nothing_are_counted(first: int) -> None:
    """Twenty thousand empty fragments were a list of twenty thousand."""
    with open_server(ROOMY) as server, connected(server, made := opened(server)) as client:
        if first == FRAGMENT:
            client.sendall(frame(TEXT & 0x7F))
        client.sendall(frame(first) * (MAX_BARE_FRAMES // 2))
        client.sendall(frame(FRAGMENT | 0x80 if first == FRAGMENT else TEXT, b"?"))
        heard = b""
        while b"bad_message" not in heard:  # it still listens
            heard += client.recv(4096)
        try:
            if first == FRAGMENT:
                client.sendall(frame(TEXT & 0x7F))
            client.sendall(frame(first) * 20_000)
            client.sendall(frame(FRAGMENT | 0x80 if first == FRAGMENT else TEXT, b"?"))
            heard = b""
            while data := client.recv(65536):
                heard += data
                assert b"bad_message" not in heard  # it does not listen any more
        except ConnectionError:
            pass  # cut off in the middle of what was sent
        else:
            assert b"too many frames that carry nothing" in heard
        assert httpx.get(f"{server.url}/v1/sessions/{made['id']}").status_code == 200


def test_a_message_of_many_fragments_is_still_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is cut, also across the slices in which it is parsed."""
    monkeypatch.setattr("lipstream.server.http.websocket_protocol.SLICE_BYTES", 7)
    with open_server(ROOMY) as server, connected(server, opened(server)) as client:
        text = b'{"type": "interrupt"}'
        pieces = [frame(TEXT & 0x7F, text[:1])]
        pieces += [frame(FRAGMENT, text[at : at + 1]) for at in range(1, len(text))]
        client.sendall(b"".join(pieces) + frame(FRAGMENT | 0x80) + frame(TEXT, b"?"))
        heard = b""
        while b"bad_message" not in heard:
            heard += client.recv(4096)
        assert b'"interrupted"' in heard


def test_bad_text_behind_which_the_end_came_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with open_server(ROOMY) as server, connected(server, opened(server)) as client:
        client.sendall(frame(TEXT, b"\xff") + frame(0x88, b"\x03\xe8"))
        heard = b""
        while data := client.recv(4096):
            heard += data
    assert heard.endswith(b"\x88\x02\x03\xe8")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
