"""What a connected viewer has encrypted: reports, and packets of sound."""

from __future__ import annotations

import asyncio
from typing import cast

from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport
from aiortc.rtp import is_rtcp

from lipstream.server.rtc.guards.drop_log import DropLog
from lipstream.server.rtc.guards.srtp_guard import SrtpGuard
from lipstream.server.rtc.rtp_sender import Feedback, MediaClock, RtpStream
from lipstream.server.rtc.sdp.answer import agree
from tests.fuzz.packets import unpacked
from tests.server.rtc.offers import offer

SSRC, RTX_SSRC = 7, 8
PLAN = agree(offer(), None, microphone=True).video
CERTIFICATE = RTCCertificate.generateCertificate()


class SilentDtls(RTCDtlsTransport):
    """Sends nothing."""

    async def _send_rtp(self, data: bytes) -> None:
        pass


def check(data: bytes) -> None:
    """Take `data` for packets that come one after the other."""
    asyncio.run(_take(data))


async def _take(data: bytes) -> None:
    dtls = SilentDtls(RTCIceTransport(RTCIceGatherer([])), [CERTIFICATE])
    stream = RtpStream(PLAN, MediaClock(), "name", Feedback())
    stream._ssrc, stream._rtx_ssrc = SSRC, RTX_SSRC
    stream.start(cast(RTCDtlsTransport, dtls))
    await stream.send([b"picture"] * 3, 0)
    await stream.report()
    SrtpGuard(dtls, DropLog(), lambda: None)
    for _, packet in unpacked(data):
        if len(packet) < 12:
            continue  # `DatagramGuard` lets none of these through
        if is_rtcp(packet):
            await dtls._handle_rtcp_data(packet)
        else:
            await dtls._handle_rtp_data(packet, arrival_time_ms=0)
