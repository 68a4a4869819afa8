"""A push by WHIP, to a server made of aiortc, and to servers that do not do what they should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from lipstream.push import live_push
from lipstream.push.live_push import PushRefusedError
from lipstream.server.outputs import whip_endpoint
from lipstream.server.outputs.push_address import PushAddress
from lipstream.server.outputs.whip_endpoint import WhipEndpoint
from lipstream.server.outputs.whip_push import WhipPush, publishing
from lipstream.server.rtc.media_sender import MediaWorkers
from lipstream.server.rtc.publisher import Publisher
from lipstream.server.rtc.settings import TransportSettings
from tests.server.outputs.whip_server import WhipServer
from tests.server.sources import MarkedSource

HOST = "http://whip.example.org"
TOKEN = "secret-token"
PATIENCE_S = 20.0


class Push:
    """A push to a `WhipServer` of this event loop, and what became of it."""

    def __init__(
        self,
        server: WhipServer,
        workers: MediaWorkers,
        path: str = "/whip",
        token: str | None = TOKEN,
        settings: TransportSettings | None = None,
        may_follow: Callable[[PushAddress], bool] = lambda address: True,
    ) -> None:
        address = PushAddress.parse(HOST + path)
        assert address is not None
        transport = httpx.ASGITransport(server.app)
        self.lost: list[str] = []
        self.was_lost = asyncio.Event()
        self.connections = 0
        self.push = WhipPush(
            WhipEndpoint(address, token, may_follow, transport),
            lambda source, on_closed: Publisher(
                source, settings or TransportSettings(), workers, on_closed=on_closed
            ),
            self._lost,
            self._connected,
        )

    def _lost(self, reason: str, wait_s: float) -> None:
        self.lost.append(reason)
        self.was_lost.set()

    def _connected(self) -> None:
        self.connections += 1

    async def feed(self, until: Callable[[], bool]) -> None:
        """Push units in time until `until()`."""
        async for unit in MarkedSource().units():
            self.push.put(unit)
            if until():
                return


@asynccontextmanager
async def running(push: Push) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(push.push.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def run(scene: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(scene(), PATIENCE_S))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_push, "RETRY_S", 0.01)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_pictures_and_sound_arrive_in_step_and_the_end_is_said(
    workers: MediaWorkers, codec: str
) -> None:
    async def scene() -> None:
        server = WhipServer(TOKEN)
        push = Push(server, workers, settings=TransportSettings(codec=codec))
        async with running(push) as task:
            await push.feed(lambda: bool(server.streams) and len(server.streams[0].pictures) >= 10)
            (stream,) = server.streams
            await push.push.end()
            await task
        assert (push.lost, push.connections, push.push.state) == ([], 1, "lost")
        posted, deleted = server.calls
        assert posted == ("POST", f"{HOST}/whip", f"Bearer {TOKEN}")
        assert deleted == ("DELETE", f"{HOST}/resource/0", f"Bearer {TOKEN}")
        first = stream.pictures[0]
        steps = {one.pts - 3600 * (one.index - first.index) for one in stream.pictures}
        assert len(steps) == 1  # each with its own time
        sounds = [piece.pts for piece in stream.sounds]
        assert {b - a for a, b in zip(sounds, sounds[1:], strict=False)} == {960}
        assert push.push.given >= push.push.sent >= 10

    run(scene)


def test_the_offer_is_as_the_standard_asks(workers: MediaWorkers) -> None:
    async def scene() -> None:
        publisher = Publisher(MarkedSource(), TransportSettings(), workers)
        offer = await publisher.offer()
        await publisher.close()
        sections = offer.split("m=")[1:]
        assert [section.partition(" ")[0] for section in sections] == ["audio", "video"]
        for section in sections:
            lines = section.splitlines()
            for line in ("sendonly", "setup:actpass", "rtcp-mux", "rtcp-mux-only"):
                assert f"a={line}" in lines
            assert any(line.startswith("a=candidate:") for line in lines)
            assert any(line.startswith("a=msid:lipstream ") for line in lines)
        assert ["a=bundle-only" in section for section in sections] == [False, True]
        assert "a=group:BUNDLE 0 1\r\n" in offer and "a=end-of-candidates" in offer
        assert "trickle" not in offer

    run(scene)


@pytest.mark.parametrize(("status", "words"), [(401, "token"), (404, "no such"), (405, "WHIP")])
def test_a_first_refusal_is_final(workers: MediaWorkers, status: int, words: str) -> None:
    async def scene() -> None:
        server = WhipServer()
        server.status = status
        push = Push(server, workers)
        with pytest.raises(PushRefusedError, match=f"{status}: .*{words}"):
            await push.push.run()
        assert push.push.state == "failed" and len(server.calls) == 1

    run(scene)


def test_a_server_in_trouble_is_tried_again(workers: MediaWorkers) -> None:
    async def scene() -> None:
        server = WhipServer()
        server.status = 503
        push = Push(server, workers)
        async with running(push):
            await push.was_lost.wait()
            server.status = 201
            await push.feed(lambda: push.connections == 1)
        assert set(push.lost) == {"it answers with 503"}
        await server.close()

    run(scene)


def test_a_server_that_hangs_up_is_found_again_even_if_it_refuses_meanwhile(
    workers: MediaWorkers,
) -> None:
    async def scene() -> None:
        server = WhipServer()
        push = Push(server, workers)
        async with running(push):
            await push.feed(lambda: push.connections == 1)
            server.status = 404  # it restarts
            await server.streams[0].close()
            await push.feed(lambda: len(push.lost) >= 2)
            server.status = 201
            await push.feed(lambda: push.connections == 2)
        assert push.lost[0] == "the peer hung up" and "404" in push.lost[1]
        await server.close()

    run(scene)


def test_redirections_are_followed_with_the_token_on_the_same_host(workers: MediaWorkers) -> None:
    async def scene() -> None:
        server = WhipServer(TOKEN)
        push = Push(server, workers, "/moved")
        async with running(push):
            await push.feed(lambda: push.connections == 1)
        assert [call[0] for call in server.calls] == ["POST", "POST", "DELETE"]
        assert {call[2] for call in server.calls} == {f"Bearer {TOKEN}"}
        await server.close()

    run(scene)


@pytest.mark.parametrize(
    "target", ["http://elsewhere.example.org/whip", "//elsewhere.example.org/whip"]
)
def test_another_host_gets_no_token(workers: MediaWorkers, target: str) -> None:
    async def scene() -> None:
        server = WhipServer()
        server.moved_to = target
        push = Push(server, workers, "/moved")
        async with running(push):
            await push.feed(lambda: push.connections == 1)
        assert [call[2] for call in server.calls] == [f"Bearer {TOKEN}", None, None]
        await server.close()

    run(scene)


@pytest.mark.parametrize(
    "target",
    [
        "http://internal/whip",
        "file:///etc/passwd",
        "rtmp://whip.example.org/a",
        "http://a@b/",
        "http://[",
    ],
)
def test_redirections_to_where_nothing_may_be_pushed_are_refused(
    workers: MediaWorkers, target: str
) -> None:
    async def scene() -> None:
        server = WhipServer()
        server.moved_to = target
        push = Push(server, workers, "/moved", may_follow=lambda to: to.host != "internal")
        with pytest.raises(PushRefusedError, match="redirects"):
            await push.push.run()
        assert len(server.calls) == 1

    run(scene)


def test_a_circle_of_redirections_ends(workers: MediaWorkers) -> None:
    async def scene() -> None:
        server = WhipServer()
        server.moved_to = "/moved"
        push = Push(server, workers, "/moved")
        async with running(push):
            await push.was_lost.wait()
        assert push.lost[0] == "it redirects more than 3 times"

    run(scene)


def test_a_resource_elsewhere_is_not_deleted(workers: MediaWorkers) -> None:
    async def scene() -> None:
        server = WhipServer()
        server.location = "http://internal/resource/{}"
        push = Push(server, workers, may_follow=lambda to: to.host != "internal")
        async with running(push):
            await push.feed(lambda: push.connections == 1)
        assert [call[0] for call in server.calls] == ["POST"]
        await server.close()

    run(scene)


def test_a_server_that_does_not_answer_is_given_up(
    workers: MediaWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whip_endpoint, "ANSWER_S", 0.1)

    async def scene() -> None:
        server = WhipServer()
        server.hangs = True
        push = Push(server, workers)
        async with running(push):
            await push.was_lost.wait()
        assert push.lost[0].startswith("no answer within")

    run(scene)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda answer: "", "the answer is no SDP"),
        (lambda answer: answer.replace("recvonly", "inactive"), "the answer's audio is inactive"),
        (lambda answer: "v=0\n" * 40_000, "its answer is too long"),
    ],
)
def test_an_answer_that_cannot_be_used_is_said(
    workers: MediaWorkers, edit: Callable[[str], str], words: str
) -> None:
    async def scene() -> None:
        server = WhipServer()
        server.edit = edit
        push = Push(server, workers)
        async with running(push):
            await push.was_lost.wait()
        assert words in push.lost[0]
        await server.close()

    run(scene)


@pytest.mark.slow
def test_a_server_that_cannot_be_reached_by_udp_is_given_up_and_told(workers: MediaWorkers) -> None:
    async def scene() -> None:
        server = WhipServer()
        server.edit = lambda answer: "".join(
            line for line in answer.splitlines(True) if "candidate" not in line
        ).replace("a=ice-pwd:", "a=ice-pwd:not")
        push = Push(server, workers, settings=TransportSettings(connect_s=1))
        async with running(push):
            await push.was_lost.wait()
        assert push.lost[0] == "the peer did not connect within 1 s"
        assert [call[0] for call in server.calls][:2] == ["POST", "DELETE"]
        await server.close()

    run(scene)


def test_an_endpoint_has_more_time_than_a_viewer_and_is_else_treated_alike() -> None:
    viewers = TransportSettings(public_ip="192.0.2.1", codec="vp8")
    ours = publishing(viewers)
    assert ours.connect_s > viewers.connect_s and ours.watchdog_s > viewers.watchdog_s
    assert replace(ours, connect_s=viewers.connect_s, watchdog_s=viewers.watchdog_s) == viewers
