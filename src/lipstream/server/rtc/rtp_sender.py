"""One RTP stream to one viewer: packets out, what was lost again, and reports on the media's clock.

Registered with aiortc's DTLS transport in place of its `RTCRtpSender`, which pulls from a track,
encodes in a shared executor, and pairs timestamps with the moment of sending.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import randbits
from struct import pack

from aiortc import RTCDtlsTransport
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    unpack_remb_fci,
)

from lipstream.server.rtc.sdp.answer import MediaPlan

NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
HISTORY = 512  # packets that can be sent again; a second or two of video
AGAIN_S = 0.02  # a packet is not sent again sooner; a longer round trip makes it longer
REPORT_S = 1.0  # between sender reports


class MediaClock:
    """The position of a session's timeline, the same for all streams of a viewer.

    Unit i is due 40 ms * i after unit 0 and never comes before that, so the earliest of them
    shows when the timeline began. Times are in seconds of `time.monotonic`.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._wall = time.time() - time.monotonic() + NTP_EPOCH

    def unit_came(self, position: float, now: float) -> float:
        """The unit that is due at `position` s has come. Returns by how many seconds too late."""
        began = now - position
        if self._began is None or began < self._began:
            self._began = began
        return began - self._began

    def position(self, now: float) -> float:
        """Seconds of the timeline that have passed; 0 before the first unit."""
        return 0.0 if self._began is None else now - self._began

    def ntp(self, now: float) -> int:
        """`now` as the 64-bit timestamp of reports (RFC 5905, section 6)."""
        return int((self._wall + now) * (1 << 32))


class Feedback:
    """The receiver of a viewer's reports; this one ignores them."""

    def picture_lost(self) -> None:
        """It needs a key frame."""

    def estimated(self, bitrate: int) -> None:
        """The viewer estimates that the network carries this many bits per second."""

    def reported(self, kind: str, lost: float, round_trip_s: float | None) -> None:
        """The share of packets lost since its last report."""


@dataclass(slots=True)
class _Sent:
    """A packet that may be requested again."""

    number: int
    marker: int
    timestamp: int
    payload: bytes
    again: float  # when it was last sent again


class RtpStream:
    """Sends payloads of one kind, with times of one `MediaClock`."""

    def __init__(
        self,
        plan: MediaPlan,
        clock: MediaClock,
        cname: str,
        feedback: Feedback,
        ssrcs: tuple[int, int] | None = None,
    ) -> None:
        """`ssrcs` of the media and of what is sent again, where they were told already."""
        self.kind = plan.line.kind
        self.packets = self.octets = 0  # sent so far, without retransmissions
        self.ssrcs = ssrcs or new_ssrcs()
        self._ssrc, self._rtx_ssrc = self.ssrcs  # aiortc looks senders up by the first name
        self._dtls: RTCDtlsTransport | None = None
        self._clock, self._cname, self._feedback = clock, cname, feedback
        assert plan.codec.payloadType is not None
        self._rate = plan.codec.clockRate
        self._payload_type = plan.codec.payloadType
        self._rtx_type = None if plan.rtx is None else plan.rtx.payloadType
        self._extension = plan.abs_send_time
        # Low numbers: a wrap within the first packets can break the receiver's decryption.
        self._number, self._rtx_number = randbits(15), randbits(15)
        self._origin = randbits(32)
        self._history: list[_Sent | None] = [None] * HISTORY
        self._resends = HISTORY  # how many packets may be sent again
        self._reports: deque[tuple[int, float]] = deque(maxlen=8)  # middle of NTP, when
        self._round_trip: float | None = None

    def start(self, dtls: RTCDtlsTransport) -> None:
        """Send over `dtls`, which is connected, and handle what comes back."""
        self._dtls = dtls
        dtls._rtp_router.register_sender(self, ssrc=self._ssrc)

    async def stop(self) -> None:
        """Send BYE and take no more reports."""
        dtls, self._dtls = self._dtls, None
        if dtls is not None:
            dtls._rtp_router.unregister_sender(self)
            await _send(dtls, bytes(RtcpByePacket(sources=[self._ssrc])))

    async def send(self, payloads: Sequence[bytes], ticks: int) -> None:
        """Payloads of one moment, `ticks` of the codec's clock into the timeline."""
        timestamp = self._origin + ticks & 0xFFFFFFFF
        last = len(payloads) - 1
        for place, payload in enumerate(payloads):
            number, self._number = self._number, self._number + 1 & 0xFFFF
            sent = _Sent(number, int(place == last), timestamp, payload, 0.0)
            self._history[number % HISTORY] = sent
            self.packets += 1
            self.octets += len(payload)
            self._resends = min(self._resends + 1, HISTORY)
            await self._put(self._header(sent, self._payload_type, number, self._ssrc) + payload)

    async def report(self) -> None:
        """Report which timestamp belongs to this moment, so that the viewer aligns lips and voice:
        by the media's clock, not by when packets happened to leave."""
        now = time.monotonic()
        ntp = self._clock.ntp(now)
        info = RtcpSenderInfo(
            ntp_timestamp=ntp,
            rtp_timestamp=self._origin + round(self._clock.position(now) * self._rate) & 0xFFFFFFFF,
            packet_count=self.packets & 0xFFFFFFFF,
            octet_count=self.octets & 0xFFFFFFFF,
        )
        self._reports.append((ntp >> 16 & 0xFFFFFFFF, now))
        name = RtcpSourceInfo(ssrc=self._ssrc, items=[(1, self._cname.encode())])
        report = RtcpSrPacket(ssrc=self._ssrc, sender_info=info)
        await self._put(bytes(report) + bytes(RtcpSdesPacket(chunks=[name])))

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        """Handle a packet that concerns this stream; aiortc's transport calls it."""
        if isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            self._take_reports(packet)
        elif isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            for number in packet.lost:
                await self._resend(number)
        elif isinstance(packet, RtcpPsfbPacket):
            if packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
                self._feedback.picture_lost()
            elif packet.fmt == RTCP_PSFB_APP:
                self._take_estimate(packet)

    def _take_reports(self, packet: RtcpRrPacket | RtcpSrPacket) -> None:
        for report in packet.reports:
            if report.ssrc == self._ssrc:
                for middle, when in self._reports:
                    if middle == report.lsr:
                        self._round_trip = time.monotonic() - when - report.dlsr / 65536
                self._feedback.reported(self.kind, report.fraction_lost / 256, self._round_trip)

    def _take_estimate(self, packet: RtcpPsfbPacket) -> None:
        try:
            bitrate, ssrcs = unpack_remb_fci(packet.fci)
        except ValueError:
            return  # another application's message
        if self._ssrc in ssrcs:
            self._feedback.estimated(bitrate)

    async def _resend(self, number: int) -> None:
        sent, now = self._history[number % HISTORY], time.monotonic()
        if sent is None or sent.number != number:
            return
        if now - sent.again < max(AGAIN_S, self._round_trip or 0.0) or not self._resends:
            return  # on its way already, or requested to make a flood
        sent.again = now
        self._resends -= 1
        if self._rtx_type is None:
            header = self._header(sent, self._payload_type, number, self._ssrc)
            await self._put(header + sent.payload)
            return
        header = self._header(sent, self._rtx_type, self._rtx_number, self._rtx_ssrc)
        self._rtx_number = self._rtx_number + 1 & 0xFFFF
        await self._put(header + pack("!H", number) + sent.payload)  # RFC 4588, section 4

    def _header(self, sent: _Sent, payload_type: int, number: int, ssrc: int) -> bytes:
        """RTP's header (RFC 3550, section 5.1), with the time of sending where it is agreed on."""
        kind = sent.marker << 7 | payload_type
        if self._extension is None:
            return pack("!BBHII", 0x80, kind, number, sent.timestamp, ssrc)
        now = self._clock.ntp(time.monotonic()) >> 14 & 0xFFFFFF
        value = self._extension << 28 | 2 << 24 | now
        return pack("!BBHIIHHI", 0x90, kind, number, sent.timestamp, ssrc, 0xBEDE, 1, value)

    async def _put(self, packet: bytes) -> None:
        if self._dtls is not None:
            await _send(self._dtls, packet)


def new_ssrcs() -> tuple[int, int]:
    """The SSRCs of a stream: of the media, and of what is sent again."""
    return randbits(32), randbits(32)


async def _send(dtls: RTCDtlsTransport, packet: bytes) -> None:
    try:
        await dtls._send_rtp(packet)
    except ConnectionError:
        return  # it has just been closed, which is reported elsewhere
