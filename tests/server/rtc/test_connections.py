"""How a viewer's connection begins and ends, over real WebRTC on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from lipstream.live.clock import ManualClock
from lipstream.server.rtc.connection import WebRTCTransport
from lipstream.server.rtc.interfaces import RestartError, SignallingError
from lipstream.server.rtc.media_sender import MediaWorkers
from lipstream.server.rtc.settings import TransportSettings
from tests.server.rtc.offers import candidate, fragment
from tests.server.rtc.relay import Relay
from tests.server.sources import MarkedSource
from tests.server.viewers import Viewer

HOME = TransportSettings()


def run(scenario: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, 30))


def test_a_peer_that_hangs_up_is_noticed_at_once(workers: MediaWorkers) -> None:
    source = MarkedSource()

    async def scenario() -> str:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        transport = WebRTCTransport(source, HOME, workers, on_closed=ended.set_result)
        viewer = Viewer()
        await viewer.connect(transport)
        await viewer.until(3)
        await viewer.close()
        reason = await ended
        await transport.close()
        return reason

    assert run(scenario()) == "the peer hung up"
    assert source.open == 0


def test_a_peer_that_vanishes_is_disconnected(workers: MediaWorkers) -> None:
    clock, source = ManualClock(), MarkedSource()

    async def scenario() -> str:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        transport = WebRTCTransport(source, HOME, workers, on_closed=ended.set_result, clock=clock)
        viewer, relay = Viewer(), Relay()
        offer = await relay.offer(await viewer.offer())
        await viewer.take(relay.answer(await transport.accept(offer)))
        await viewer.until(3)
        clock.advance(5900)
        await asyncio.sleep(1.6)  # long enough for a report
        clock.advance(5900)
        await asyncio.sleep(0)
        assert not ended.done()
        relay.conditions.blackout = True
        await asyncio.sleep(0.1)
        clock.advance(6100)
        reason = await ended
        await viewer.close()
        relay.close()
        return reason

    assert run(scenario()) == "the peer sent no report for 6 s"
    assert source.open == 0


def test_a_peer_that_never_comes_is_not_waited_for(workers: MediaWorkers) -> None:
    clock, source = ManualClock(), MarkedSource()

    async def scenario() -> str:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        transport = WebRTCTransport(source, HOME, workers, on_closed=ended.set_result, clock=clock)
        viewer = Viewer()
        await transport.accept(await viewer.offer())  # and the answer gets lost
        await viewer.close()
        await asyncio.sleep(0.05)
        clock.advance(9_900)
        await asyncio.sleep(0)
        assert not ended.done()
        clock.advance(200)
        return await ended

    assert run(scenario()) == "the peer did not connect within 10 s"
    assert source.open == 0


@pytest.mark.parametrize("moment", ["before", "offered", "connecting"])
def test_it_can_be_closed_at_any_moment(workers: MediaWorkers, moment: str) -> None:
    source = MarkedSource()

    async def scenario() -> None:
        transport = WebRTCTransport(source, HOME, workers)
        viewer = Viewer()
        offer = await viewer.offer()
        if moment != "before":
            answer = await transport.accept(offer)
        if moment == "connecting":
            await viewer.take(answer)
            await asyncio.sleep(0.02)
        await asyncio.gather(transport.close(), transport.close())
        await viewer.close()

    run(scenario())
    assert source.open == 0


def test_a_source_that_ends_ends_the_connection(workers: MediaWorkers) -> None:
    async def scenario() -> str:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        source = MarkedSource(units=5)
        transport = WebRTCTransport(source, HOME, workers, on_closed=ended.set_result)
        viewer = Viewer()
        await viewer.connect(transport)
        reason = await ended
        await viewer.close()
        return reason

    assert run(scenario()) == "the session has ended"


def test_a_source_that_breaks_frees_its_place(
    workers: MediaWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(MarkedSource):
        def unit(self, index: int) -> Any:
            raise RuntimeError("no more")

    async def scenario() -> str:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        transport = WebRTCTransport(Broken(), HOME, workers, on_closed=ended.set_result)
        viewer = Viewer()
        await viewer.connect(transport)
        reason = await ended
        await viewer.close()
        return reason

    assert run(scenario()) == "an error of the server"
    assert "a viewer's connection failed" in caplog.text


def test_another_viewer_goes_on_where_the_first_stopped(workers: MediaWorkers) -> None:
    source = MarkedSource()

    async def scenario() -> list[list[int]]:
        shown = []
        for _ in range(2):
            transport = WebRTCTransport(source, HOME, workers)
            viewer = Viewer()
            await viewer.connect(transport)
            await viewer.until(10)
            await transport.close()
            await viewer.close()
            shown.append([picture.index for picture in viewer.pictures])
        return shown

    first, second = run(scenario())
    assert first[0] == 0
    # What was sent but not decoded any more when the first viewer went is not shown again.
    assert first[-1] < second[0] <= first[-1] + 10


def test_candidates_may_come_later_and_not_without_end(workers: MediaWorkers) -> None:
    async def scenario() -> Viewer:
        transport = WebRTCTransport(MarkedSource(), HOME, workers)
        viewer = Viewer()
        with pytest.raises(SignallingError, match="follow an offer"):
            await transport.add_candidates(fragment())
        offer = await viewer.offer()
        lines = offer.split("\r\n")
        names = {line[2:] for line in lines if line.startswith("a=candidate")}
        held = [line for line in lines if not line.startswith(("a=candidate", "a=end-of"))]
        user, password = (
            next(line for line in lines if line.startswith(f"a=ice-{what}:")).split(":")[1]
            for what in ("ufrag", "pwd")
        )
        answer = await transport.accept("\r\n".join(held))
        with pytest.raises(SignallingError, match="open another"):
            await transport.accept(offer)
        with pytest.raises(RestartError):
            await transport.add_candidates(fragment())
        more = [candidate("203.0.113.9", protocol="tcp"), candidate("nobody-here.local")]
        text = fragment(*names, *more, username=user, password=password)
        await transport.add_candidates(text)
        await viewer.take(answer)
        await viewer.until(3)
        with pytest.raises(SignallingError, match="50 candidates"):
            many = [candidate(port=port) for port in range(1, 52)]
            await transport.add_candidates(fragment(*many, username=user, password=password))
        await viewer.until(6)
        await transport.close()
        await viewer.close()
        return viewer

    assert len(run(scenario()).pictures) >= 6


def test_a_useless_offer_leaves_nothing(workers: MediaWorkers) -> None:
    async def scenario() -> None:
        transport = WebRTCTransport(MarkedSource(), HOME, workers)
        for text in ("", "hello", "v=0\r\n"):
            with pytest.raises(SignallingError):
                await transport.accept(text)
        await transport.close()

    run(scenario())


def test_a_machine_without_a_network_plays_to_itself(
    workers: MediaWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> str:
        transport = WebRTCTransport(MarkedSource(), HOME, workers)
        viewer = Viewer()
        offer = await viewer.offer()
        monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
        answer = await transport.accept(offer)
        await transport.close()
        await viewer.close()
        return answer

    assert " 127.0.0.1 " in run(scenario())


def test_this_side_is_relayed_only_when_it_is_set(workers: MediaWorkers) -> None:
    servers = ("stun:a.example", "turn:b.example")
    for relayed, urls in ((False, [["stun:a.example"]]), (True, [[one] for one in servers])):
        settings = TransportSettings(ice_servers=servers, turn_secret="x", relayed=relayed)
        transport = WebRTCTransport(MarkedSource(), settings, workers)
        assert [server.urls for server in transport._servers()] == urls


def test_only_the_public_address_is_published(workers: MediaWorkers) -> None:
    async def scenario() -> str:
        settings = TransportSettings(public_ip="203.0.113.77")
        transport = WebRTCTransport(MarkedSource(), settings, workers)
        viewer = Viewer()
        answer = await transport.accept(await viewer.offer())
        await transport.close()
        await viewer.close()
        return answer

    lines = [line for line in run(scenario()).splitlines() if line.startswith("a=candidate")]
    addresses = {line.split()[4] for line in lines}
    assert {address for address in addresses if ":" not in address} == {"203.0.113.77"}
