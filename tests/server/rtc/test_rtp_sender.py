"""One RTP stream: headers, packets sent again, and reports on the media's clock."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpByePacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    RtpPacket,
    is_rtcp,
    pack_remb_fci,
    unwrap_rtx,
)

from lipstream.server.rtc.rtp_sender import HISTORY, NTP_EPOCH, Feedback, MediaClock, RtpStream
from lipstream.server.rtc.sdp.answer import MediaPlan, agree
from tests.server.rtc.offers import offer


class Wire:
    """Stands where aiortc's DTLS transport would: keeps what is sent, unencrypted."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.broken = False
        self._rtp_router = self
        self.senders: dict[int, Any] = {}

    def register_sender(self, sender: Any, ssrc: int) -> None:
        self.senders[ssrc] = sender

    def unregister_sender(self, sender: Any) -> None:
        self.senders = {key: one for key, one in self.senders.items() if one is not sender}

    async def _send_rtp(self, data: bytes) -> None:
        if self.broken:
            raise ConnectionError
        self.sent.append(data)

    @property
    def media(self) -> list[RtpPacket]:
        return [RtpPacket.parse(data) for data in self.sent if not is_rtcp(data)]

    @property
    def reports(self) -> list[Any]:
        return [packet for d in self.sent if is_rtcp(d) for packet in RtcpPacket.parse(d)]


class Notes(Feedback):
    """Writes down what the viewer reports."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def picture_lost(self) -> None:
        self.said.append(("picture lost",))

    def estimated(self, bitrate: int) -> None:
        self.said.append(("estimated", bitrate))

    def reported(self, kind: str, lost: float, round_trip_s: float | None) -> None:
        self.said.append(("reported", kind, lost, round_trip_s))


def plan(kind: str = "video") -> MediaPlan:
    agreement = agree(offer(), "vp8", False)
    return agreement.video if kind == "video" else agreement.audio


def opened(kind: str = "video", clock: MediaClock | None = None) -> tuple[RtpStream, Wire, Notes]:
    wire, notes = Wire(), Notes()
    stream = RtpStream(plan(kind), clock or MediaClock(), "name", notes)
    stream.start(wire)  # type: ignore[arg-type]
    return stream, wire, notes


def test_one_moment_has_one_timestamp_and_one_marker() -> None:
    stream, wire, _ = opened()
    asyncio.run(stream.send([b"a", b"bc", b"d"], 3600))
    asyncio.run(stream.send([b"e"], 7200))
    one, two, three, four = wire.media
    assert [packet.payload for packet in wire.media] == [b"a", b"bc", b"d", b"e"]
    assert [packet.marker for packet in wire.media] == [0, 0, 1, 1]
    assert one.timestamp == two.timestamp == three.timestamp
    assert (four.timestamp - one.timestamp) % 2**32 == 3600
    numbers = [packet.sequence_number for packet in wire.media]
    assert numbers == list(range(numbers[0], numbers[0] + 4)) and numbers[0] < 2**15
    assert {(packet.payload_type, packet.ssrc) for packet in wire.media} == {(96, stream.ssrcs[0])}
    assert (stream.packets, stream.octets) == (4, 5)


def test_numbers_and_timestamps_wrap() -> None:
    stream, wire, _ = opened("audio")
    stream._number, stream._origin = 0xFFFF, 0xFFFFFFFF
    asyncio.run(stream.send([b"a"], 0))
    asyncio.run(stream.send([b"b"], 960))
    assert [(p.sequence_number, p.timestamp) for p in wire.media] == [(65535, 2**32 - 1), (0, 959)]


def nack(stream: RtpStream, *numbers: int) -> RtcpRtpfbPacket:
    return RtcpRtpfbPacket(RTCP_RTPFB_NACK, 1, stream.ssrcs[0], list(numbers))


def test_a_lost_packet_is_sent_again_once_in_a_while() -> None:
    stream, wire, _ = opened()

    async def scenario() -> None:
        await stream.send([b"first", b"second"], 0)
        lost = wire.media[1]
        wire.sent.clear()
        for _ in range(3):
            await stream._handle_rtcp_packet(nack(stream, lost.sequence_number))
        (again,) = wire.media
        assert (again.payload_type, again.ssrc) == (97, stream.ssrcs[1])
        found = unwrap_rtx(again, 96, stream.ssrcs[0])
        for name in ("sequence_number", "timestamp", "payload", "marker"):
            assert getattr(found, name) == getattr(lost, name)

    asyncio.run(scenario())


def test_what_is_too_old_or_never_was_is_not_sent_again() -> None:
    stream, wire, _ = opened()

    async def scenario() -> None:
        await stream.send([b"x"] * (HISTORY + 5), 0)
        first = wire.media[0].sequence_number
        wire.sent.clear()
        await stream._handle_rtcp_packet(nack(stream, first, (first + 2 * HISTORY) % 65536))
        assert not wire.sent

    asyncio.run(scenario())


def test_nobody_gets_more_again_than_was_sent() -> None:
    stream, wire, _ = opened()

    async def scenario() -> None:
        await stream.send([b"x"] * HISTORY, 0)
        numbers = [packet.sequence_number for packet in wire.media]
        wire.sent.clear()
        for _ in range(5):
            for sent in stream._history:
                assert sent is not None
                sent.again = 0.0
            await stream._handle_rtcp_packet(nack(stream, *numbers))
        assert len(wire.sent) == HISTORY

    asyncio.run(scenario())


def test_reports_follow_the_media_and_not_the_sending() -> None:
    clock = MediaClock()
    audio, video = opened("audio", clock), opened("video", clock)
    now = time.monotonic()
    clock.unit_came(10.0, now)

    async def scenario() -> None:
        for stream, rate in ((audio[0], 48_000), (video[0], 90_000)):
            await stream.send([b"x"], 10 * rate)
            await asyncio.sleep(0.03)  # however long it took to be sent
            await stream.report()

    asyncio.run(scenario())
    for (_, wire, _), rate in ((audio, 48_000), (video, 90_000)):
        report = next(packet for packet in wire.reports if isinstance(packet, RtcpSrPacket))
        info = report.sender_info
        ticks = (info.rtp_timestamp - wire.media[0].timestamp) % 2**32
        ntp = info.ntp_timestamp / 2**32 - NTP_EPOCH
        expected = time.time() - time.monotonic() + now  # when position 10 s was
        assert ntp - ticks / rate == pytest.approx(expected, abs=0.002)
        assert (info.packet_count, info.octet_count) == (1, 1)


def test_the_clock_takes_the_earliest_unit_for_the_timeline() -> None:
    clock = MediaClock()
    assert clock.position(5.0) == 0.0
    assert clock.unit_came(0.0, 100.008) == 0.0
    assert clock.unit_came(0.04, 100.041) == 0.0  # 7 ms earlier than the first showed
    assert clock.unit_came(0.08, 100.131) == pytest.approx(0.05)
    assert clock.position(101.001) == pytest.approx(1.0)


def test_what_the_viewer_says_is_passed_on() -> None:
    stream, wire, notes = opened()
    ssrc = stream.ssrcs[0]

    async def scenario() -> None:
        await stream.report()
        report = wire.reports[0]
        middle = report.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF
        info = RtcpReceiverInfo(ssrc, 64, 3, 9, 0, middle, 0)
        other = RtcpReceiverInfo(ssrc + 1, 255, 3, 9, 0, 0, 0)
        remb = pack_remb_fci(300_000, [ssrc])
        for packet in (
            RtcpRrPacket(7, [other, info]),
            RtcpPsfbPacket(RTCP_PSFB_PLI, 7, ssrc),
            RtcpPsfbPacket(RTCP_PSFB_APP, 7, 0, remb),
            RtcpPsfbPacket(RTCP_PSFB_APP, 7, 0, b"rubbish"),
            RtcpPsfbPacket(RTCP_PSFB_APP, 7, 0, pack_remb_fci(9, [ssrc + 1])),
        ):
            await stream._handle_rtcp_packet(packet)

    asyncio.run(scenario())
    (kind, name, lost, trip), lost_picture, (word, bitrate) = notes.said
    assert (kind, name, lost, lost_picture) == ("reported", "video", 0.25, ("picture lost",))
    assert 0 <= trip < 1
    assert word == "estimated" and bitrate == pytest.approx(300_000, rel=0.01)


def test_a_stream_says_goodbye_once_and_a_broken_line_is_no_error() -> None:
    stream, wire, _ = opened()

    async def scenario() -> None:
        await stream.stop()
        await stream.stop()
        await stream.send([b"x"], 0)
        assert [type(packet) for packet in wire.reports] == [RtcpByePacket]
        assert not wire.media and not wire.senders
        other, broken, _ = opened()
        broken.broken = True
        await other.send([b"x"], 0)
        await other.report()
        await other.stop()

    asyncio.run(scenario())


def test_without_retransmission_agreed_packets_are_repeated_as_they_were() -> None:
    stream, wire, _ = opened("audio")

    async def scenario() -> None:
        await stream.send([b"x"], 960)
        await stream._handle_rtcp_packet(nack(stream, wire.media[0].sequence_number))

    asyncio.run(scenario())
    first, again = wire.media
    assert (first.sequence_number, first.payload) == (again.sequence_number, again.payload)
