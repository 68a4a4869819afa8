"""A viewer of real WebRTC while others, and he himself, send what they should not."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from lipstream.live.clock import ManualClock
from lipstream.server.rtc.connection import WebRTCTransport
from lipstream.server.rtc.guards.drop_log import DropLog
from lipstream.server.rtc.guards.srtp_guard import MAX_SSRCS
from lipstream.server.rtc.interfaces import SpeechSink
from lipstream.server.rtc.media_sender import MediaWorkers
from lipstream.server.rtc.settings import TransportSettings
from tests.fakes import blank_avatar
from tests.server.app_client import until
from tests.server.fake_runtime import FakeSession
from tests.server.rtc.guards.test_srtp_guard import nack, report, sound
from tests.server.rtc.relay import CANDIDATE
from tests.server.rtc.test_connection import Voice
from tests.server.sources import MarkedSource
from tests.server.viewers import Viewer

pytestmark = pytest.mark.slow

HOME = TransportSettings()
COOKIE = 0x2112A442


def run(scenario: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, 30))


def addresses(answer: str) -> list[tuple[str, int]]:
    """All at which the server's side of the connection can be reached."""
    return [(found[3], int(found[4])) for found in CANDIDATE.finditer(answer)]


@contextmanager
def stranger() -> Iterator[socket.socket]:
    """A socket of somebody who is no viewer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("0.0.0.0", 0))
        yield one


def oddities() -> list[bytes]:
    """Empty, short and odd datagrams, and some that look like what is expected."""
    stun = struct.pack("!HHI12s", 1, 4, COOKIE, b"x" * 12) + struct.pack("!HH", 0x8029, 0)
    alert = struct.pack("!BHHIHHBB", 21, 0xFEFD, 0, 0, 1, 2, 2, 40)
    odd = [b"", stun, alert, bytes([22]) + os.urandom(200), bytes([128, 111]) + os.urandom(200)]
    return [*odd, *(bytes([first]) for first in range(256)), bytes(1400)]


class WrittenLog(logging.Handler):
    """Bytes of log, as `lipstream serve` writes them."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.bytes = 0

    def emit(self, record: logging.LogRecord) -> None:
        for name in ("lipstream", "aiortc", "aioice", "asyncio"):
            level = logging.INFO if name == "lipstream" else logging.WARNING
            if record.name.startswith(name) and record.levelno >= level:
                self.bytes += len(self.format(record)) + 120  # time, level and fields


@pytest.mark.parametrize("sender", ["a stranger", "the viewer"])
def test_no_datagram_at_all_ends_a_connection(workers: MediaWorkers, sender: str) -> None:
    """Nor writes more log than it was long itself. One empty datagram ended it before."""
    drops, written = DropLog(), WrittenLog()
    closed: list[str] = []
    root = logging.getLogger()
    root.addHandler(written)

    async def scenario() -> int:
        transport = WebRTCTransport(
            MarkedSource(), HOME, workers, drops=drops, on_closed=closed.append
        )
        viewer = Viewer()
        await viewer.connect(transport)
        await viewer.until(3)
        written.bytes = 0
        connection = viewer.pc.getReceivers()[0].transport.transport._connection
        (pair,) = connection._nominated.values()
        odd = oddities() * 3
        with stranger() as other:
            for data in odd:
                if sender == "the viewer":
                    pair.protocol.transport.sendto(data, pair.remote_addr)
                else:
                    for address in addresses(viewer.answer):
                        other.sendto(data, address)
                await asyncio.sleep(0)  # so that nothing gets lost in a full socket
            await until(lambda: sum(drops.totals.values()) > len(odd) * 0.8)
        await viewer.until(len(viewer.pictures) + 10)
        await transport.close()
        await viewer.close()
        return sum(map(len, odd))

    try:
        sent = run(scenario())
    finally:
        root.removeHandler(written)
    assert not closed
    assert written.bytes <= sent
    assert drops.totals["malformed"] > 200
    assert drops.totals["stranger"] >= 3


def test_what_comes_before_the_connection_costs_no_memory(workers: MediaWorkers) -> None:
    drops = DropLog()

    async def scenario() -> int:
        transport = WebRTCTransport(MarkedSource(), HOME, workers, drops=drops)
        viewer = Viewer()
        answer = await transport.accept(await viewer.offer())
        with stranger() as other:
            for _ in range(500):
                for address in addresses(answer):
                    other.sendto(bytes([22]) + bytes(1400), address)
                await asyncio.sleep(0)
            await until(lambda: drops.totals["stranger"] > 400)
        assert transport._peer is not None
        waiting = transport._peer._gatherer._connection._queue.qsize()
        await viewer.take(answer)
        await viewer.until(3)
        await transport.close()
        await viewer.close()
        return waiting

    assert run(scenario()) == 0


def test_a_viewer_who_asks_for_everything_again_is_served_on(workers: MediaWorkers) -> None:
    """And one whose microphone has thousands of names is heard under a few."""
    drops, session = DropLog(), FakeSession(blank_avatar())

    async def scenario() -> int:
        microphone = cast("SpeechSink", session)
        transport = WebRTCTransport(
            MarkedSource(), HOME, workers, drops=drops, microphone=microphone
        )
        viewer = Viewer(microphone=Voice())
        await viewer.connect(transport)
        await viewer.until(3)
        assert transport._peer is not None
        dtls, ours = viewer.pc.getReceivers()[0].transport, transport._peer.dtls
        payload_type = next(iter(ours._rtp_router.payload_type_table))
        for number in range(600):
            await dtls._send_rtp(nack(280, number % 4))
            name = struct.pack("!I", 1000 + number)
            packet = sound(0)
            await dtls._send_rtp(packet[:1] + bytes([payload_type]) + packet[2:8] + name)
            await asyncio.sleep(0)
        await until(lambda: drops.totals["ssrc"] > 400 and drops.totals["rtcp"] > 400)
        await viewer.until(len(viewer.pictures) + 10)
        await until(lambda: session.pushed > 48_000)
        names = len(ours._rtp_router.ssrc_table)
        await transport.close()
        await viewer.close()
        return names

    assert run(scenario()) <= MAX_SSRCS


def test_who_still_sends_is_not_dropped_after_a_stall(workers: MediaWorkers) -> None:
    """The time is over before what waits in the sockets has been read, a datagram at each turn."""
    clock = ManualClock()
    closed: list[str] = []

    async def scenario() -> None:
        transport = WebRTCTransport(
            MarkedSource(), HOME, workers, clock=clock, on_closed=closed.append
        )
        viewer = Viewer()
        await viewer.connect(transport)
        await viewer.until(3)
        for receiver in viewer.pc.getReceivers():  # it reports only when the test says so
            receiver._RTCRtpReceiver__rtcp_task.cancel()  # type: ignore[attr-defined]
        await asyncio.sleep(0.1)
        dtls = viewer.pc.getReceivers()[0].transport
        connection = dtls.transport._connection
        (pair,) = connection._nominated.values()
        for _ in range(3):
            for _ in range(100):
                pair.protocol.transport.sendto(b"\xff", pair.remote_addr)
            await dtls._send_rtp(report(1))
            clock.advance(8000)
            await viewer.until(len(viewer.pictures) + 5)
        assert not closed
        clock.advance(8000)  # and now nothing came
        await until(lambda: bool(closed))
        await viewer.close()

    run(scenario())
    assert closed == ["the peer sent no report for 6 s"]
