"""Through a real front: WebSockets both ways, their codes, uploads as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.cluster.front_server import FrontedServers, open_fronted
from tests.server.app_client import until
from tests.server.fake_runtime import ANSWER, OFFER

MIB = 1 << 20


@pytest.fixture(scope="module")
def fronted() -> Iterator[FrontedServers]:
    with open_fronted() as opened:
        yield opened


def run(scenario: Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]], url: str) -> None:
    async def bounded() -> None:
        async with httpx.AsyncClient(base_url=url) as client:
            await asyncio.wait_for(scenario(client), 20)

    asyncio.run(bounded())


async def opened(client: httpx.AsyncClient) -> dict[str, str]:
    answer = await client.post("/v1/sessions", json={"avatar": "face"})
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


def test_speech_goes_in_and_events_come_out(fronted: FrontedServers) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        made = await opened(client)
        server = fronted.workers[made["id"][33:]]
        url = fronted.url.replace("http", "ws") + made["audio_url"]
        async with connect(url, subprotocols=["bearer.x"], compression=None) as socket:  # type: ignore[list-item]
            assert socket.subprotocol == "bearer.x"
            await socket.send(b"\x01\x00" * 4800)
            assert json.loads(await socket.recv())["type"] == "queued"
            assert fronted.front.sockets.speaking == 1
            await socket.send('{"type": "end"}')
            await socket.send('{"type": "interrupt"}')
            while json.loads(await socket.recv())["type"] != "interrupted":
                pass
            assert fronted.front.sockets.speaking == 0
            assert server.runtime.sessions[-1].pushed == 4800
            await client.delete(f"/v1/sessions/{made['id']}")
            with pytest.raises(ConnectionClosed):
                while True:
                    await socket.recv()
            assert (socket.close_code, socket.close_reason) == (1001, "the session has ended")

    run(scenario, fronted.url)


def test_a_socket_is_refused_as_its_worker_refuses_it(fronted: FrontedServers) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        made = await opened(client)
        paths = {
            f"/v1/sessions/{'0' * 32}-w1/audio": "not_found",
            f"/v1/sessions/{'0' * 32}-w9/audio": "worker_gone",
            f"{made['audio_url']}?sample_rate=1": "invalid",
            "/nothing": "not_found",
        }
        for path, code in paths.items():
            with pytest.raises(InvalidStatus) as refusal:
                await connect(fronted.url.replace("http", "ws") + path)
            body = json.loads(refusal.value.response.body or b"{}")
            assert body["error"]["code"] == code, path
        await client.delete(f"/v1/sessions/{made['id']}")

    run(scenario, fronted.url)


def test_a_second_socket_replaces_the_first(fronted: FrontedServers) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        made = await opened(client)
        url = fronted.url.replace("http", "ws") + made["audio_url"]
        async with connect(url) as first, connect(url):
            with pytest.raises(ConnectionClosed):
                await first.recv()
            assert (first.close_code, first.close_reason) == (1008, "replaced")
        await client.delete(f"/v1/sessions/{made['id']}")

    run(scenario, fronted.url)


def test_a_file_goes_through_as_it_comes() -> None:
    """With a length and without one; it is no sound, which the worker says."""
    with open_fronted() as fronted:
        send_files(fronted)


def send_files(fronted: FrontedServers) -> None:

    async def scenario(client: httpx.AsyncClient) -> None:
        made = await opened(client)
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        multipart = {"content-type": "multipart/form-data; boundary=b"}

        async def pieces() -> Any:
            yield head
            for _ in range(64):
                yield bytes(MIB // 8)
            yield b"\r\n--b--\r\n"

        whole = b"".join([piece async for piece in pieces()])
        for content in (pieces(), whole):
            answer = await client.post(made["speech_url"], content=content, headers=multipart)
            assert answer.status_code in (400, 415), answer.text
        reader, writer = await asyncio.open_connection("127.0.0.1", int(fronted.url[-5:]))
        head_of_more = f"POST {made['speech_url']} HTTP/1.1\r\nHost: localhost\r\n"
        writer.write(f"{head_of_more}Content-Length: {65 * MIB}\r\n\r\n".encode())
        assert b" 413 " in await reader.readline()
        writer.close()
        await client.delete(f"/v1/sessions/{made['id']}")

    run(scenario, fronted.url)


def test_answers_have_one_date_and_their_own_headers() -> None:
    with open_fronted() as fronted:
        read_files(fronted)


def read_files(fronted: FrontedServers) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for method in ("GET", "HEAD"):
            answer = await client.request(method, "/lipstream-avatar.js")
            assert answer.status_code == 200
            assert len(answer.headers.get_list("date")) == 1
            assert answer.headers["Cache-Control"] == "no-cache"
            assert bool(answer.content) is (method == "GET")
        etag = {"If-None-Match": answer.headers["ETag"]}
        assert (await client.get("/lipstream-avatar.js", headers=etag)).status_code == 304
        assert (await client.get("/openapi.json")).json()["info"]["title"] == "lipstream"

    run(scenario, fronted.url)


def test_a_dialect_s_socket_reaches_the_worker_of_its_token(fronted: FrontedServers) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post("/compose/token", json={"faceId": "face"})
        token = answer.json()["session_token"]
        runtime = fronted.workers[token.rpartition(".")[2]].runtime
        url = fronted.url.replace("http", "ws") + "/compose/webrtc/p2p?session_token="
        async with connect(url + token, compression=None) as socket:
            await socket.send(json.dumps({"type": "offer", "sdp": OFFER}))
            assert json.loads(await socket.recv())["sdp"] == ANSWER
            assert await socket.recv() == "START"
            await socket.send(b"PLAY_IMMEDIATE" + b"\x01\x00" * 64_000)
            assert await socket.recv() == "ACK"
            await until(lambda: runtime.sessions[-1].pushed == 64_000)
            await socket.send("DONE")
            assert await socket.recv() == "STOP"
        for wrong in ("", "x", "x.w9"):
            with pytest.raises(InvalidStatus):
                await connect(url + wrong)

    run(scenario, fronted.url)
