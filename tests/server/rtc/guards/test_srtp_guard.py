"""How much RTP and RTCP of one viewer is parsed: counted, with a clock that is moved by hand."""

from __future__ import annotations

import struct
from collections.abc import Coroutine
from typing import Any, cast

import pytest
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport

from lipstream.server.rtc.guards.drop_log import DropLog
from lipstream.server.rtc.guards.srtp_guard import (
    MAX_RTCP_WORDS,
    MAX_RTP,
    MAX_SSRCS,
    RTCP_WORDS_PER_S,
    SrtpGuard,
)

MEDIA = 7  # the SSRC that is reported on


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run what waits for nothing, without an event loop."""
    with pytest.raises(StopIteration):
        work.send(None)


class FakeDtls:
    """Counts what would be parsed."""

    def __init__(self) -> None:
        self.rtcp: list[bytes] = []
        self.rtp = 0

    async def _handle_rtcp_data(self, data: bytes) -> None:
        self.rtcp.append(data)

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        self.rtp += 1


class Setup:
    def __init__(self) -> None:
        self.now, self.active = 0.0, 0
        self.dtls, self.drops = FakeDtls(), DropLog()
        dtls = cast(RTCDtlsTransport, self.dtls)
        self.guard = SrtpGuard(dtls, self.drops, self._heard, lambda: self.now)

    def rtcp(self, data: bytes) -> None:
        finish(self.dtls._handle_rtcp_data(data))

    def rtp(self, data: bytes) -> None:
        finish(self.dtls._handle_rtp_data(data, arrival_time_ms=0))

    def _heard(self) -> None:
        self.active += 1


def nack(entries: int, ssrc: int = 1) -> bytes:
    """A report of 17 lost packets per entry (RFC 4585, section 6.2.1)."""
    head = struct.pack("!BBHII", 0x81, 205, 2 + entries, ssrc, MEDIA)
    return head + b"".join(struct.pack("!HH", 17 * n, 0xFFFF) for n in range(entries))


def report(ssrc: int = 1) -> bytes:
    """A receiver's report on one stream (RFC 3550, section 6.4.2)."""
    return struct.pack("!BBHI", 0x81, 201, 7, ssrc) + struct.pack("!I20x", MEDIA)


def sound(ssrc: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 111, 1, 1, ssrc) + bytes(40)


def test_a_flood_of_nacks_is_parsed_up_to_its_budget() -> None:
    setup = Setup()
    flood = nack(280)
    assert len(flood) == 1132
    for number in range(3000):  # ten seconds of it
        setup.now = number / 300
        setup.rtcp(flood)
    words = sum(map(len, setup.dtls.rtcp)) / 4
    assert words <= MAX_RTCP_WORDS + 10 * RTCP_WORDS_PER_S
    assert setup.drops.totals["rtcp"] + len(setup.dtls.rtcp) == 3000
    assert setup.active == 3000  # he is still there, whatever he sends


def test_the_reports_of_a_bad_network_are_all_parsed() -> None:
    """Every 20 ms what is missing, a report on each stream and an estimate every second."""
    setup = Setup()
    for number in range(1500):
        setup.now = number / 50
        setup.rtcp(nack(4 if number % 50 else 40))
        if number % 25 == 0:
            setup.rtcp(report() + nack(8))
    assert not setup.drops.totals


def test_a_viewer_has_few_senders() -> None:
    """Each costs a key stream of libsrtp and a place in the tables of aiortc."""
    setup = Setup()
    for number in range(10_000):
        setup.now += 0.01
        data = sound(1000 + number) if number % 2 else report(1000 + number)
        if setup.guard.admits(data):
            setup.rtp(data) if number % 2 else setup.rtcp(data)
    assert setup.dtls.rtp + len(setup.dtls.rtcp) == MAX_SSRCS
    assert setup.drops.totals == {"ssrc": 10_000 - MAX_SSRCS}
    assert setup.guard.admits(sound(1001)) and not setup.guard.admits(sound(9))


def test_what_cannot_be_decrypted_takes_no_place() -> None:
    setup = Setup()
    assert all(setup.guard.admits(sound(number)) for number in range(1000))
    setup.rtp(sound(5))
    assert setup.guard.admits(sound(6)) and not setup.drops.totals


def test_sound_has_a_budget_that_a_microphone_does_not_reach() -> None:
    setup = Setup()
    for number in range(1000):  # 10 ms a packet
        setup.now = number / 100
        setup.rtp(sound(1))
    assert setup.dtls.rtp == 1000
    for _ in range(5000):
        setup.rtp(sound(1))
    assert setup.dtls.rtp <= 1000 + MAX_RTP
    assert setup.drops.totals["rtp"] == 6000 - setup.dtls.rtp


def test_what_aiortc_cannot_parse_ends_no_connection() -> None:
    """An estimate that announces more SSRCs than it holds is a struct.error in its router."""
    drops, heard = DropLog(), []
    dtls = RTCDtlsTransport(
        RTCIceTransport(RTCIceGatherer([])), [RTCCertificate.generateCertificate()]
    )
    SrtpGuard(dtls, drops, lambda: heard.append(1))
    estimate = struct.pack("!BBHII4sBBHI", 0x8F, 206, 5, 1, 0, b"REMB", 9, 0, 0, 7)
    finish(dtls._handle_rtcp_data(estimate))
    assert heard and drops.totals == {"malformed": 1}
