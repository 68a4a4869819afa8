"""Too fast, too slow, too many: through a real socket, with the memory watched."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]
import pytest
import websockets

from lipstream.server.admission import Cost
from lipstream.server.app import create_app
from lipstream.server.http.uvicorn_server import configured
from lipstream.server.settings import ServeSettings
from tests.server.fake_runtime import FakeRuntime
from tests.server.http_server import HttpServer, open_server

MEBIBYTE = 1 << 20
ROOMY = ServeSettings(rate=0, connect_timeout_s=600)
CHUNK = bytes(64 * 1024)
PATIENCE_S = 20.0


def opened(server: HttpServer) -> dict[str, Any]:
    made: dict[str, Any] = httpx.post(f"{server.url}/v1/sessions", json={"avatar": "face"}).json()
    return made


def address(server: HttpServer, made: dict[str, Any]) -> str:
    return f"ws://127.0.0.1:{server.port}{made['audio_url']}?sample_rate=24000"


def memory() -> int:
    return int(psutil.Process().memory_info().rss)


@pytest.mark.slow
def test_a_sender_of_any_speed_is_held_back_by_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is played: 60 s go in, the rest of the gigabyte stays with the sender."""

    async def flood(server: HttpServer) -> int:
        async with websockets.connect(address(server, opened(server))) as there:
            sent = 0
            for _ in range(16_000):
                try:
                    await asyncio.wait_for(there.send(CHUNK), 1.0)
                except asyncio.TimeoutError:
                    break
                sent += len(CHUNK)
            there.transport.abort()
            return sent

    with open_server(ROOMY, FakeRuntime(cost=Cost(0.1, 0.1, 0.1))) as server:
        monkeypatch.setattr("tests.server.fake_runtime.FakeSession.keeps", False)
        neighbour = opened(server)
        before = memory()
        sent = asyncio.run(flood(server))
        session = server.runtime.sessions[-1]
        assert sent < 64 * MEBIBYTE  # the kernel's buffers on both sides, and ours
        assert session.peak_ms <= 60_000
        assert memory() - before < 20 * MEBIBYTE
        state = httpx.get(f"{server.url}/v1/sessions/{neighbour['id']}")
        assert state.status_code == 200


def test_unread_events_cost_no_memory() -> None:
    async def stall(server: HttpServer) -> None:
        made = opened(server)
        async with websockets.connect(address(server, made), max_queue=1) as there:
            there.transport.pause_reading()
            for _ in range(3_000):
                await there.send('{"type": "interrupt"}')
            there.transport.abort()

    with open_server(ROOMY) as server:
        before = memory()
        asyncio.run(stall(server))
        assert memory() - before < 20 * MEBIBYTE


@pytest.mark.slow
def test_hundreds_of_slow_clients_are_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipstream.server.http.http_protocol.HEADER_S", 0.5)
    with open_server(ROOMY) as server:
        before = memory()
        slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        try:
            for one in slow:
                one.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            assert httpx.get(f"{server.url}/healthz").status_code == 200
            for one in slow:
                one.settimeout(PATIENCE_S)
                assert one.recv(1) == b""  # closed without an answer
        finally:
            for one in slow:
                one.close()
        assert memory() - before < 20 * MEBIBYTE


@pytest.mark.parametrize("first", [b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"])
def test_a_header_has_a_deadline_each_time(monkeypatch: pytest.MonkeyPatch, first: bytes) -> None:
    """A connection that was used before is no better than a new one."""
    monkeypatch.setattr("lipstream.server.http.http_protocol.HEADER_S", 0.3)
    with (
        open_server(ROOMY) as server,
        socket.create_connection(("127.0.0.1", server.port)) as slow,
    ):
        slow.settimeout(PATIENCE_S)
        if first:
            slow.sendall(first)
            assert slow.recv(4096).startswith(b"HTTP/1.1 200")
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        while slow.recv(4096):
            pass


@pytest.mark.parametrize("call", ["POST /v1/sessions", "POST /nowhere", "HEAD /v1/avatars"])
def test_a_body_that_is_none_is_answered_once(caplog: pytest.LogCaptureFixture, call: str) -> None:
    """The request that it belonged to answered, too, and the log had an error of ours."""
    head = f"{call} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with open_server(ServeSettings(rate=0, token="right-token-0123")) as server:
        for pieces in ([head + "no size\r\n"], [head, "no size\r\n"]):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.settimeout(PATIENCE_S)
                for piece in pieces:
                    client.sendall(piece.encode())
                answer = b""
                while data := client.recv(4096):
                    answer += data
            assert answer.count(b"HTTP/1.1") == 1 and answer.startswith(b"HTTP/1.1 4")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_body_that_stalls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipstream.server.security.rate_limit.CHUNK_TIMEOUT_S", 0.3)
    with (
        open_server(ROOMY) as server,
        socket.create_connection(("127.0.0.1", server.port)) as slow,
    ):
        slow.settimeout(PATIENCE_S)
        head = (
            b"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        )
        slow.sendall(head + b"Content-Length: 20\r\n\r\n{")
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")


def test_a_client_that_goes_away_in_mid_upload_leaves_nothing() -> None:
    with open_server(ROOMY) as server:
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", server.port)) as there:
                there.sendall(
                    b"POST /v1/avatars HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n"
                    b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"'
                    b"\r\n\r\n" + bytes(100_000)
                )
        assert httpx.get(f"{server.url}/v1/avatars").status_code == 200


def test_an_endless_body_is_cut_off() -> None:
    """An answer comes, and the connection is closed, long before the client would stop."""
    with (
        open_server(ROOMY) as server,
        socket.create_connection(("127.0.0.1", server.port)) as there,
    ):
        there.settimeout(PATIENCE_S)
        there.sendall(
            b"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: application/json\r\n\r\n"
        )
        before = memory()
        try:
            for _ in range(5_000):
                there.sendall(b"10000\r\n" + CHUNK + b"\r\n")
        except OSError:
            pass
        else:
            raise AssertionError("the server read 300 MB")
        assert memory() - before < 20 * MEBIBYTE


def test_sixteen_ask_for_eight_places_at_once() -> None:
    async def ask(server: HttpServer) -> list[tuple[int, float]]:
        async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE_S) as http:

            async def one() -> tuple[int, float]:
                began = time.perf_counter()
                answer = await http.post("/v1/sessions", json={"avatar": "face"})
                return answer.status_code, time.perf_counter() - began

            return await asyncio.gather(*(one() for _ in range(16)))

    settings = ServeSettings(rate=0, max_sessions=8)
    with open_server(settings, FakeRuntime(cost=Cost(0.1, 0.1, 0.1))) as server:
        found = asyncio.run(ask(server))
    assert sorted(status for status, _ in found) == [201] * 8 + [503] * 8
    print(f"the slowest refusal took {1000 * max(s for code, s in found if code == 503):.0f} ms")


def test_a_minute_of_speech_does_not_cost_the_connection() -> None:
    """Pings may wait behind speech that is not read; that is no reason to hang up."""
    config = configured(create_app(ROOMY, runtime=FakeRuntime()))
    assert config.ws_ping_timeout is None and config.ws_max_size == 128 * 1024
