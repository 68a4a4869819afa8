"""Connections that say nothing, half of something, or read nothing keep nobody out."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
from collections.abc import Iterator

import httpx
import pytest
import websockets.exceptions as websockets_errors
import websockets.sync.client as websockets

from lipstream.server.http.open_files import OTHER_FILES, raise_open_files
from lipstream.server.settings import ServeSettings
from tests.server.http_server import HttpServer, open_server

FEW = ServeSettings(rate=0, connect_timeout_s=600, max_connections=20)
TOKEN = "right-token-0123"
CLOSED = ServeSettings(rate=0, max_connections=20, token=TOKEN)
PATIENCE_S = 20.0
PROBES = ("/healthz", "/readyz")
BODY = b"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"


@contextlib.contextmanager
def connections(
    server: HttpServer, count: int, first: bytes = b""
) -> Iterator[list[socket.socket]]:
    """So many connections at once, each of which has sent no more than `first`."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            one.settimeout(PATIENCE_S)
            opened.append(one)
            with contextlib.suppress(OSError):  # closed already
                one.sendall(first)
        yield opened


def answer_of(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65536):
            received += data
    return received


@pytest.mark.parametrize(
    "first", [b"", b"GET /he", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"]
)
def test_probes_are_answered_however_many_connections_sit_there(first: bytes) -> None:
    with open_server(FEW) as server:
        made = httpx.post(f"{server.url}/v1/sessions", json={"avatar": "face"}).json()
        address = f"ws://127.0.0.1:{server.port}{made['audio_url']}"
        with websockets.connect(address) as speaking:
            with connections(server, 50, first):
                for path in PROBES:
                    assert httpx.get(f"{server.url}{path}").status_code == 200
            speaking.send('{"type": "interrupt"}')
            assert "interrupted" in speaking.recv(PATIENCE_S)  # it was no place to take
        text = httpx.get(f"{server.url}/metrics").text
        assert "connections_refused" in text


def test_probes_are_answered_where_every_place_is_in_use() -> None:
    """Twenty requests whose bodies are on their way are served; only probes come in beside."""
    with (
        open_server(FEW) as server,
        connections(server, 20, b"POST /v1/sessions HTTP/1.1\r\n" + BODY),
    ):
        for path in PROBES:
            assert httpx.get(f"{server.url}{path}").status_code == 200
        refused = httpx.get(f"{server.url}/v1/avatars")
        assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0
        assert refused.json()["error"]["code"] == "too_many_connections"
        with connections(server, 50):
            assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_a_body_without_a_token_holds_no_place() -> None:
    head = b"POST /v1/sessions HTTP/1.1\r\n" + BODY
    right = {"Authorization": f"Bearer {TOKEN}"}
    with open_server(CLOSED) as server, connections(server, 40, head):
        assert httpx.get(f"{server.url}/v1/avatars", headers=right).status_code == 200


def test_a_refused_body_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipstream.server.http.http_protocol.HEADER_S", 0.3)
    head = b"POST /v1/sessions HTTP/1.1\r\n" + BODY
    with open_server(CLOSED) as server, connections(server, 1, head) as (dripping,):
        assert dripping.recv(4096).startswith(b"HTTP/1.1 401")
        with pytest.raises(ConnectionError):
            while True:
                dripping.sendall(b" ")


def test_a_client_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipstream.server.http.http_protocol.STALL_S", 0.3)
    request = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with open_server(FEW) as server, connections(server, 1) as (lazy,):
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(ConnectionError):
            while True:
                lazy.sendall(request)


def test_one_address_has_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipstream.server.http.http_protocol.MAX_PER_NETWORK", 4)
    monkeypatch.setattr("lipstream.server.http.http_protocol.HEADER_S", 2 * PATIENCE_S)
    anywhere = ServeSettings(host="0.0.0.0", token=TOKEN, max_connections=20)
    with open_server(anywhere) as server, connections(server, 10) as opened:
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert [answer_of(one) for one in opened[:6]] == 6 * [b""]
    behind_a_proxy = ServeSettings(
        host="0.0.0.0", token=TOKEN, max_connections=20, trusted_proxies=("127.0.0.0/8",)
    )
    with open_server(behind_a_proxy) as server, connections(server, 10) as opened:
        for one in opened:
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert all(answer_of(one).startswith(b"HTTP/1.1 200") for one in opened)


def test_a_refused_websocket_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lipstream")
    for settings, status in ((CLOSED, 401), (FEW, 404)):
        with open_server(settings) as server:
            for path in ("/v1/sessions/x/audio", "/nothing"):
                with pytest.raises(websockets_errors.InvalidStatus) as refused:
                    websockets.connect(f"ws://127.0.0.1:{server.port}{path}")
                assert refused.value.response.status_code == status
                assert set(json.loads(refused.value.response.body)["error"]) == {"code", "message"}
    said = [record for record in caplog.records if record.levelname != "INFO"]
    assert said == []
    lines = [record for record in caplog.records if record.message == "WebSocket refused"]
    assert [vars(record)["status"] for record in lines] == [401, 401, 404, 404]


def test_text_that_is_no_utf8_closes_the_socket_and_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with open_server(FEW) as server:
        made = httpx.post(f"{server.url}/v1/sessions", json={"avatar": "face"}).json()
        with websockets.connect(f"ws://127.0.0.1:{server.port}{made['audio_url']}") as there:
            there.send(b"\xff\xfe", text=True)
            with pytest.raises(websockets_errors.ConnectionClosedError) as closed:
                while True:
                    there.recv(PATIENCE_S)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1007
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


UPGRADE = (
    b"GET /v1/sessions/x/audio HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.mark.parametrize(
    "handshake",
    [
        UPGRADE + b"X-Long: " + b"a" * 9_000 + b"\r\n\r\n",
        UPGRADE + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n",
        UPGRADE.replace(b"GET", b"POST") + b"\r\n",
        UPGRADE + b"Content-Length: 5\r\n\r\nhello",
        UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["line", "lines", "method", "length", "chunks"],
)
def test_a_handshake_that_cannot_be_read_holds_no_place(
    handshake: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with open_server(CLOSED) as server, connections(server, 1, handshake) as (one,):
        assert answer_of(one).startswith(b"HTTP/1.1 40")
    assert caplog.records == []


def test_what_follows_a_request_of_two_lengths_is_no_request() -> None:
    twice = (
        b"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    )
    with open_server(FEW) as server, connections(server, 1, twice) as (one,):
        assert answer_of(one).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(("trusted", "statuses"), [((), {401, 429}), (("127.0.0.1",), {401})])
def test_a_forwarded_address_is_believed_of_a_trusted_proxy_only(
    trusted: tuple[str, ...], statuses: set[int]
) -> None:
    settings = ServeSettings(rate=0, token=TOKEN, trusted_proxies=trusted)
    with open_server(settings) as server, httpx.Client(base_url=server.url) as http:
        wrong = {"Authorization": "Bearer wrong-token-0123"}
        answers = [
            http.get("/v1/avatars", headers={**wrong, "X-Forwarded-For": f"192.0.2.{n}"})
            for n in range(30)
        ]
    assert {answer.status_code for answer in answers} == statuses


def test_the_soft_limit_of_open_files_is_raised_or_the_start_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resource = pytest.importorskip("resource")
    from lipstream.errors import LipstreamError

    limits = [256, 4096]

    def set_limit(what: int, values: tuple[int, int]) -> None:
        if values[0] > limits[1]:
            raise ValueError("not allowed to raise maximum limit")
        limits[:] = values

    monkeypatch.setattr(resource, "getrlimit", lambda what: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    raise_open_files(500)
    assert limits == [4096, 4096]
    limits[:] = [256, 256]
    with pytest.raises(
        LipstreamError, match="only 256 files may be open at once, and 500 .*-n 912"
    ):
        raise_open_files(500)
    limits[:] = [1024, 1024]
    raise_open_files(1024 - OTHER_FILES - 12)
